/** Breaks off with a RST: in each message of the handshake, and in the middle of a transfer. */
import { clientOf, connect, dial, protocolOf, randomFrom, run, sleep, times } from "../wire.mjs"

run(async ({ count, seed, target }) => {
  const { lengths } = protocolOf(target.stack)
  const random = randomFrom(seed)
  await times(count, 16, async (i) => {
    if (i % 3 === 2) {
      const peer = await dial(target)
      peer.raw.write(peer.sealer.box(Buffer.alloc(1 + random(4096))))
      await sleep(random(8))
      peer.raw.reset()
      return
    }
    const raw = await connect(target)
    const steps = clientOf(target)
    const hello = steps.next().value
    if (i % 3 === 0) raw.write(hello.subarray(0, random(lengths.client[0])))
    else {
      raw.write(hello)
      const auth = steps.next(await raw.read(lengths.server[0])).value
      raw.write(auth.subarray(0, random(lengths.client[1])))
    }
    await sleep(random(8))
    raw.reset()
  })
  return { connections: count }
})
