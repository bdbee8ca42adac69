/**
 * Flips each bit of the client's messages, and over ws of the frames that they are in: one for each connection. Counts what is answered
 * after the message.
 */
import { connect, inTime, partLengths, protocolOf, run, shake, times, transportOf } from "../wire.mjs"

const flipped = (message, bit) => {
  const out = Buffer.from(message)
  out[bit >> 3] ^= 1 << (bit & 7)
  return out
}

run(async ({ step, target }) => {
  const [challenge] = protocolOf(target.stack).lengths.server
  const parts = partLengths(target)
  const [first, second] = transportOf(target.stack) === "net" ? parts : parts.slice(1)
  const bits = []
  for (let bit = 0; bit < (first + second) * 8; bit += step) bits.push(bit)
  const wrong = []
  let answered = 0
  let refused = 0
  await times(bits.length, 16, async (i) => {
    const bit = bits[i]
    const raw = await connect(target)
    const inFirst = bit < first * 8
    await shake(raw, target, (bytes, number) => {
      const here = inFirst === (number === 0)
      raw.send(here ? flipped(bytes, inFirst ? bit : bit - first * 8) : bytes)
      return !here
    })
    await inTime(raw.closed)
    answered += raw.received - (inFirst ? 0 : challenge)
    if (raw.over === undefined) wrong.push(bit)
    else refused++
    raw.destroy()
  })
  return { connections: bits.length, refused, answered, wrong }
})
