/**
 * Requests that are refused, each with requests behind it on the same connection: as many as the server takes, some of
 * them sent along, and in the end a good one with a good hello. Nothing of this may be let in, and no connection may
 * stay.
 */
import { frame, isUpgraded, plainRequest, request } from "../websocket.mjs"
import { clientOf, inTime, open, protocolOf, sleep, times } from "../wire.mjs"

const kinds = (target) => ({
  "a plain GET": plainRequest(target),
  "a plain GET of HTTP/1.0": plainRequest(target, { version: "1.0" }),
  "a HEAD": plainRequest(target, { method: "HEAD" }),
  "a POST with half its body": Buffer.concat([
    plainRequest(target, { method: "POST", headers: { "Content-Length": "1000" } }),
    Buffer.alloc(500, "x")
  ]),
  "a CONNECT": plainRequest(target, { method: "CONNECT", path: "127.0.0.1:1" }),
  "a POST that upgrades": request(target, { method: "POST" }),
  "another path": request(target, { path: "/elsewhere" }),
  "no key": request(target, { headers: { "Sec-WebSocket-Key": undefined } }),
  "a bad key": request(target, { headers: { "Sec-WebSocket-Key": "short" } }),
  "an old version": request(target, { headers: { "Sec-WebSocket-Version": "7" } }),
  "another protocol": request(target, { headers: { Upgrade: "h2c" } }),
  "no HTTP": Buffer.from("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
  "two lengths": plainRequest(target, { headers: { "Content-Length": "5", "Transfer-Encoding": "chunked" } }),
  "a head of 20,000 bytes": request(target, { headers: { Cookie: "a".repeat(20_000) } })
})

export default async ({ rounds, target }) => {
  const all = Object.entries(kinds(target))
  const letIn = []
  const stay = []
  let connections = 0
  const opened = () => connections++
  const [hello] = protocolOf(target.stack).lengths.server
  await times(rounds * all.length, 8, async (i) => {
    const [kind, bytes] = all[i % all.length]
    const together = Math.floor(i / all.length) % 2 === 1
    const raw = await open(target, { opened })
    const good = Buffer.concat([request(target), frame(clientOf(target).next().value)])
    raw.send(together ? Buffer.concat([bytes, plainRequest(target), good]) : bytes)
    if (!together) {
      await Promise.race([raw.closed, sleep(20)])
      for (const next of [bytes, plainRequest(target), good]) {
        if (raw.over === undefined) raw.send(next)
        await Promise.race([raw.closed, sleep(2)])
      }
    }
    if ((await inTime(raw.gone)) === undefined) stay.push(kind)
    // A second answer could be to a good request: then a challenge follows.
    const said = (await raw.take()) ?? Buffer.alloc(0)
    const upgrade = said.indexOf("HTTP/1.1 101 ")
    if (upgrade >= 0 && isUpgraded(String(said.subarray(upgrade)))) {
      const end = said.indexOf("\r\n\r\n", upgrade)
      if (said.length - end > hello) letIn.push(kind)
    }
    raw.destroy()
  })
  return { connections, kinds: all.length, letIn: [...new Set(letIn)], stay: [...new Set(stay)] }
}
