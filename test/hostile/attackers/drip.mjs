/**
 * Slow loris: connections that send a byte now and then, some of the first message, some of the second; over ws some of
 * the request, and over wss some of the first message of TLS.
 */
import { clientHello, inTime, open, partLengths, percentiles, shake, sleep, times, transportOf } from "../wire.mjs"

export default async ({ count, every, target }) => {
  const kinds = partLengths(target).length
  const tlsHello = transportOf(target.stack) === "wss" ? await clientHello() : undefined
  const lasted = []
  await times(count, count, async (i) => {
    const number = i % (tlsHello === undefined ? kinds : kinds + 1)
    const ofTls = number === kinds
    let began = performance.now()
    const opened = () => {
      began = performance.now()
    }
    const raw = await open(ofTls ? { ...target, stack: "net" } : target, { opened })
    // Without its last byte, for as long as the server waits.
    const drip = async (bytes) => {
      for (let at = 0; at < bytes.length - 1 && raw.over === undefined; at++) {
        raw.send(bytes.subarray(at, at + 1))
        await Promise.race([sleep(every), raw.closed])
      }
      return false
    }
    if (ofTls) await drip(tlsHello)
    else {
      await shake(raw, target, (bytes, part) => {
        if (part === number) return drip(bytes)
        raw.send(bytes)
        return true
      })
    }
    await inTime(raw.gone)
    if (raw.over !== undefined) lasted.push(performance.now() - began)
    raw.destroy()
  })
  return { connections: count, closed: lasted.length, ...percentiles(lasted) }
}
