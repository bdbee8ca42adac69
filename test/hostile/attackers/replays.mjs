/**
 * Says again what an honest client has said, in a third of the attempts the whole session, and says back to the server
 * what it said itself. Nothing of this may be accepted: no byte comes after the server's first message.
 */
import { clientOf, connect, dial, inTime, protocolOf, random, times } from "../wire.mjs"

export default async ({ rounds, target }) => {
  const { lengths } = protocolOf(target.stack)
  const [challengeLength, acceptLength] = lengths.server
  let connections = 0
  let accepted = 0
  const attempt = async (messages) => {
    connections++
    const raw = await connect(target)
    try {
      for (const message of messages) {
        raw.write(typeof message === "function" ? message(await raw.read(challengeLength)) : message)
      }
      await inTime(raw.closed)
    } catch {
      // Refused before its challenge.
    }
    if (raw.received >= challengeLength + acceptLength || raw.over === undefined) accepted++
    raw.destroy()
  }

  // The session that is overheard.
  const peer = await dial(target)
  connections++
  const spoken = [peer.sealer.box(Buffer.from("transfer it")), peer.sealer.goodbye()]
  for (const part of spoken) peer.raw.write(part)
  const heard = []
  for (let chunk = await peer.raw.take(); chunk !== undefined; chunk = await peer.raw.take()) {
    heard.push(chunk)
    peer.opener.push(chunk)
    if (peer.opener.ended) break
  }
  peer.raw.end()

  const [hello, auth] = peer.sent
  const fitting = (message, length) => Buffer.concat([message, random(length)]).subarray(0, length)
  const kinds = [
    // Both messages of the session, the second in its turn.
    () => [hello, () => auth],
    // All that the client had said, as fast as it goes.
    () => [hello, auth, ...spoken],
    // The second message only, after a hello of one's own.
    () => [clientOf(target).next().value, () => auth],
    // The server's own challenge as the hello, and again as what follows it.
    (challenge) => [fitting(challenge, lengths.client[0]), (own) => fitting(own, lengths.client[1])],
    // The server's boxes.
    () => [hello, () => fitting(Buffer.concat(heard), lengths.client[1])]
  ]
  const stranger = await connect(target)
  connections++
  stranger.write(clientOf(target).next().value)
  const challenge = await stranger.read(challengeLength)
  stranger.end()
  await times(rounds * kinds.length, 8, (i) => attempt(kinds[i % kinds.length](challenge)))
  return { connections, attempts: rounds * kinds.length, accepted, honest: 1 }
}
