/**
 * Connections that never become WebSockets, and come again from the same port as soon as they are gone: a RST leaves
 * the port free at once. Each worker has a port of its own, and some of them wait for their answer first. Over wss
 * three of four go in their TLS handshake.
 */
import { plainRequest } from "../websocket.mjs"
import { clientHello, inTime, open, sleep, times, transportOf } from "../wire.mjs"

export default async ({ count, target, workers }) => {
  let connections = 0
  let again = 0
  const opened = () => connections++
  const ask = plainRequest(target)
  const ways = [
    (raw) => void raw.send(ask),
    async (raw) => {
      raw.send(ask)
      await inTime(raw.readHead().catch(() => {}))
    },
    (raw) => void raw.send(ask.subarray(0, ask.length - 2)),
    (raw) => void raw.send(Buffer.concat([ask, ask, ask]))
  ]
  const tlsHello = transportOf(target.stack) === "wss" ? await clientHello() : undefined
  const each = Math.ceil(count / workers)
  await times(workers, workers, async (worker) => {
    let localPort
    for (let done = 0; done < each; ) {
      const inTls = tlsHello !== undefined && done % 4 !== 0
      let raw
      try {
        raw = await open(inTls ? { ...target, stack: "net" } : target, { localPort, opened, resets: true })
      } catch {
        // Somebody else has the port now, or the last one's end is still on its way.
        localPort = undefined
        await sleep(5)
        continue
      }
      if (localPort !== undefined) again++
      localPort = raw.localPort
      if (inTls) raw.send(tlsHello)
      else await ways[(worker + Math.floor(done / 4)) % ways.length](raw)
      // And at once again: the server has not seen yet that this one is gone.
      raw.reset()
      done++
    }
  })
  return { connections, again }
}
