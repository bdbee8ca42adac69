/** What a page of the web can do to a loopback port: a POST without a preflight, as a browser shapes it. */
import { connect, inTime } from "../wire.mjs"

const bodies = ["ping", '{"jsonrpc":"2.0","method":"drain"}', "x".repeat(10_000)]

export default async ({ rounds, target }) => {
  let answered = 0
  for (let i = 0; i < rounds; i++) {
    const body = bodies[i % bodies.length]
    const raw = await connect(target)
    raw.write(
      Buffer.from(
        [
          "POST / HTTP/1.1",
          `Host: ${target.host}:${target.port}`,
          "Origin: https://attacker.example",
          "Content-Type: text/plain;charset=UTF-8",
          "Sec-Fetch-Mode: no-cors",
          "Sec-Fetch-Site: cross-site",
          `Content-Length: ${body.length}`,
          "",
          body
        ].join("\r\n")
      )
    )
    const echoed = await inTime(raw.take())
    if (echoed?.length > 0) answered++
    raw.end()
    await inTime(raw.closed)
    raw.destroy()
  }
  return { connections: rounds, answered }
}
