/**
 * Leaves at each byte that a client sends until it is through, by FIN or by RST, and looks how soon a FIN is answered
 * with the server's. Over wss, in the first message of TLS too.
 */
import { clientHello, inTime, open, partLengths, percentiles, shakeUpTo, sleep, times, transportOf } from "../wire.mjs"

export default async ({ step, target }) => {
  const tlsHello = transportOf(target.stack) === "wss" ? await clientHello() : Buffer.alloc(0)
  const length = partLengths(target).reduce((total, part) => total + part, 0)
  const noticed = []
  const unnoticed = []
  let connections = 0
  const opened = () => connections++
  const cut = async (at, how) => {
    const ofTls = at < tlsHello.length
    const raw = await open(ofTls ? { ...target, stack: "net" } : target, { opened, resets: true })
    if (ofTls) raw.send(tlsHello.subarray(0, at))
    else await shakeUpTo(raw, target, at - tlsHello.length)
    if (how === "reset") {
      // Long enough for what was sent to be looked at.
      await sleep(5)
      raw.reset()
      await raw.closed
      return
    }
    const began = performance.now()
    raw.fin()
    const end = await inTime(raw.gone)
    if (end === undefined) unnoticed.push(at)
    else noticed.push(performance.now() - began)
    raw.destroy()
  }
  const places = []
  for (let at = 0; at < tlsHello.length; at += 16 * step) places.push(at)
  for (let at = 0; at <= length; at += step) places.push(tlsHello.length + at)
  await times(places.length, 4, (i) => cut(places[i], "end"))
  await times(places.length, 8, (i) => cut(places[i], "reset"))
  return { connections, places: places.length, unnoticed, ...percentiles(noticed) }
}
