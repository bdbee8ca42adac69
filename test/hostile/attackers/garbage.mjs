/**
 * What is no handshake: other protocols, nothing, too much, another network's hello, and garbage behind a good hello.
 */
import { clientOf, connect, inTime, protocolOf, random } from "../wire.mjs"

const text = (lines) => Buffer.from(`${lines.join("\r\n")}\r\n\r\n`)

const first = (target, mainNetwork) => ({
  nothing: Buffer.alloc(0),
  "one byte": Buffer.from([0x42]),
  zeros: Buffer.alloc(200),
  ones: Buffer.alloc(200, 0xff),
  random: random(64),
  "much that is random": random(1_000_000),
  "a TLS hello": Buffer.concat([Buffer.from("16030100f1010000ed0303", "hex"), random(237)]),
  "an HTTP request": text(["GET / HTTP/1.1", "Host: localhost", "Accept: */*", `Cookie: ${"a".repeat(60)}`]),
  "a WebSocket upgrade": text([
    "GET / HTTP/1.1",
    "Host: localhost",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
  ]),
  "an SSH banner": Buffer.from(`SSH-2.0-OpenSSH_9.9\r\n${"x".repeat(80)}`),
  "SOCKS 5": Buffer.from("050100", "hex"),
  "a PROXY header": text(["PROXY TCP4 192.0.2.1 192.0.2.2 1 2"]),
  "text in another script": Buffer.from("\u202e\u0000\ufeff💥".repeat(20)),
  "the hello of another network": clientOf({ ...target, appKey: mainNetwork }).next().value,
  "a hello without its key": Buffer.concat([clientOf(target).next().value.subarray(0, 32), random(64)])
})

const second = (length) => ({
  "zeros for the second message": Buffer.alloc(length),
  "random for the second message": random(length),
  "much for the second message": random(100_000)
})

export default async ({ rounds, target }) => {
  const { lengths } = protocolOf(target.stack)
  const mainNetwork = "1KHLiKZvAvjbY1ziZEHMXawbCEIM6qwjCDm3VYRan/s="
  const answered = []
  let connections = 0
  const over = async (raw, name, allowed) => {
    connections++
    raw.end()
    await inTime(raw.closed)
    if (raw.over === undefined) answered.push(`${name}: not closed`)
    if (raw.received > allowed) answered.push(`${name}: ${raw.received} bytes`)
    raw.destroy()
  }
  for (let round = 0; round < rounds; round++) {
    for (const [name, bytes] of Object.entries(first(target, mainNetwork))) {
      const raw = await connect(target)
      raw.write(bytes)
      await over(raw, name, 0)
    }
    for (const [name, bytes] of Object.entries(second(lengths.client[1]))) {
      const raw = await connect(target)
      raw.write(clientOf(target).next().value)
      await raw.read(lengths.server[0])
      raw.write(bytes)
      await over(raw, name, lengths.server[0])
    }
  }
  return { connections, answered }
}
