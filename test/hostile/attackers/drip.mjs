/** Slow loris: connections that send a byte now and then, half of them of the first message and half of the second. */
import { clientOf, connect, inTime, percentiles, protocolOf, run, sleep, times } from "../wire.mjs"

run(async ({ count, every, target }) => {
  const { lengths } = protocolOf(target.stack)
  const lasted = []
  await times(count, count, async (i) => {
    const raw = await connect(target)
    const began = performance.now()
    const steps = clientOf(target)
    let message = steps.next().value
    if (i % 2 === 1) {
      raw.write(message)
      message = steps.next(await raw.read(lengths.server[0])).value
    }
    for (let at = 0; at < message.length - 1 && raw.over === undefined; at++) {
      raw.write(message.subarray(at, at + 1))
      await Promise.race([sleep(every), raw.closed])
    }
    // Without its last byte, for as long as the server waits.
    await inTime(raw.closed)
    if (raw.over !== undefined) lasted.push(performance.now() - began)
    raw.destroy()
  })
  return { connections: count, closed: lasted.length, ...percentiles(lasted) }
})
