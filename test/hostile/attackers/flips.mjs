/** Flips each bit of the client's messages, one for each connection, and counts what is answered after the message. */
import { clientOf, connect, inTime, protocolOf, run, times } from "../wire.mjs"

const flipped = (message, bit) => {
  const out = Buffer.from(message)
  out[bit >> 3] ^= 1 << (bit & 7)
  return out
}

run(async ({ step, target }) => {
  const { lengths } = protocolOf(target.stack)
  const [first, second] = lengths.client
  const bits = []
  for (let bit = 0; bit < (first + second) * 8; bit += step) bits.push(bit)
  const wrong = []
  let answered = 0
  let refused = 0
  await times(bits.length, 16, async (i) => {
    const bit = bits[i]
    const raw = await connect(target)
    const steps = clientOf(target)
    const hello = steps.next().value
    let allowed = 0
    if (bit < first * 8) raw.write(flipped(hello, bit))
    else {
      raw.write(hello)
      allowed = lengths.server[0]
      raw.write(flipped(steps.next(await raw.read(allowed)).value, bit - first * 8))
    }
    await inTime(raw.closed)
    answered += raw.received - allowed
    if (raw.over === undefined) wrong.push(bit)
    else refused++
    raw.destroy()
  })
  return { connections: bits.length, refused, answered, wrong }
})
