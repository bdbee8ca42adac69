/**
 * Breaks off with a RST: in each message of the handshake, over ws in its request too, and in the middle of a transfer.
 */
import { dial, open, partLengths, randomFrom, shakeUpTo, sleep, times } from "../wire.mjs"

export default async ({ count, seed, target }) => {
  const parts = partLengths(target)
  const random = randomFrom(seed)
  /** Somewhere in the first parts, or in the last one. */
  const places = [
    () => random(parts.slice(0, -1).reduce((total, part) => total + part, 0)),
    () => parts.slice(0, -1).reduce((total, part) => total + part, 1) + random(parts.at(-1) - 1)
  ]
  await times(count, 16, async (i) => {
    if (i % 3 === 2) {
      const peer = await dial(target, { resets: true })
      peer.raw.write(peer.sealer.box(Buffer.alloc(1 + random(4096))))
      await sleep(random(8))
      peer.raw.reset()
      return
    }
    const raw = await open(target, { resets: true })
    await shakeUpTo(raw, target, places[i % 3]())
    await sleep(random(8))
    raw.reset()
  })
  return { connections: count }
}
