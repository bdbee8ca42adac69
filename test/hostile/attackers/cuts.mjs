/** Leaves at each byte of the client's messages, by FIN or by RST, and looks how soon a FIN is answered with the server's. */
import { clientOf, connect, inTime, percentiles, protocolOf, run, sleep, times } from "../wire.mjs"

run(async ({ step, target }) => {
  const { lengths } = protocolOf(target.stack)
  const [first, second] = lengths.client
  const noticed = []
  const unnoticed = []
  let connections = 0
  const cut = async (at, how) => {
    const raw = await connect(target)
    connections++
    const steps = clientOf(target)
    const hello = steps.next().value
    if (at <= first) raw.write(hello.subarray(0, at))
    else {
      raw.write(hello)
      raw.write(steps.next(await raw.read(lengths.server[0])).value.subarray(0, at - first))
    }
    if (how === "reset") {
      // Long enough for what was sent to be looked at.
      await sleep(5)
      raw.reset()
      await raw.closed
      return
    }
    const began = performance.now()
    raw.end()
    await inTime(raw.closed)
    if (raw.over === undefined) unnoticed.push(at)
    else noticed.push(raw.overAt - began)
    raw.destroy()
  }
  const places = []
  for (let at = 0; at <= first + second; at += step) places.push(at)
  await times(places.length, 4, (i) => cut(places[i], "end"))
  await times(places.length, 8, (i) => cut(places[i], "reset"))
  return { connections, places: places.length, unnoticed, ...percentiles(noticed) }
})
