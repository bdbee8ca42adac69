/**
 * Flips each bit of the client's messages, and over ws of the frames that they are in: one for each connection. Counts
 * what is answered after the message. Bits that only say that more is to come are counted apart: the message is there
 * whole, and no byte of it is another.
 */
import { connect, inTime, partLengths, protocolOf, shake, times, transportOf } from "../wire.mjs"

const flipped = (message, bit) => {
  const out = Buffer.from(message)
  out[bit >> 3] ^= 1 << (bit & 7)
  return out
}

/** What the head of a frame says of its length, and in how many bytes beyond the first two. */
const lengthOf = (frame) => {
  const short = frame[1] & 0x7f
  if (short < 126) return { extra: 0, length: short }
  return short === 126 ? { extra: 2, length: frame.readUInt16BE(2) } : { extra: 8, length: Number.POSITIVE_INFINITY }
}

/** Whether the bit of a frame says only that more is to come: it is not the last of its message, or it is longer. */
const goesOn = (frame, bit) => {
  if (bit === 7) return true
  const { extra, length } = lengthOf(frame)
  const isOfMask = bit === 15
  if (bit < 8 || isOfMask || bit >> 3 >= 2 + extra) return false
  const other = lengthOf(flipped(frame, bit))
  return other.extra === extra && other.length > length
}

export default async ({ step, target }) => {
  const isNet = transportOf(target.stack) === "net"
  const [challenge] = protocolOf(target.stack).lengths.server
  const parts = partLengths(target)
  const [first, second] = isNet ? parts : parts.slice(1)
  const bits = []
  for (let bit = 0; bit < (first + second) * 8; bit += step) bits.push(bit)
  const wrong = []
  let answered = 0
  let refused = 0
  let whole = 0
  // Over ws the server waits for an answer to its Close, of each.
  await times(bits.length, isNet ? 16 : 64, async (i) => {
    const bit = bits[i]
    const raw = await connect(target)
    const inFirst = bit < first * 8
    let isWhole = false
    await shake(raw, target, (bytes, number) => {
      const here = inFirst === (number === 0)
      const own = inFirst ? bit : bit - first * 8
      if (here && !isNet) isWhole = goesOn(bytes, own)
      raw.send(here ? flipped(bytes, own) : bytes)
      return !here
    })
    await inTime(raw.closed)
    if (isWhole) whole++
    else {
      answered += raw.received - (inFirst ? 0 : challenge)
      if (raw.over === undefined) wrong.push(bit)
      else refused++
    }
    raw.destroy()
  })
  return { connections: bits.length, refused, whole, answered, wrong }
}
