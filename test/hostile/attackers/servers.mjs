/**
 * Servers that attack who dials them, each kind on a port of its own; the first line on stdout says which. `flip` and
 * `cut` do it at another place for each connection, in order.
 */
import fs from "node:fs"
import net from "node:net"
import tls from "node:tls"
import { ofTheNetwork, ofThePeer } from "../damages.mjs"
import { answerTo, close, frame, opcodes } from "../websocket.mjs"
import { answer, identity, protocolOf, Raw, random, sleep, streamOf, transportOf, welcome } from "../wire.mjs"

const fixture = (name) => fs.readFileSync(new URL(`../../fixtures/tls/${name}`, import.meta.url))

/** What a server may do with a request for a WebSocket, and right after it. Each is given the request's head. */
const httpBehaviours = {
  "http: never answers": () => {},
  "http: no HTTP": (raw) => raw.send(random(1000)),
  "http: 200": (raw) => raw.send(Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
  "http: a redirect to itself": (raw) =>
    raw.send(Buffer.from("HTTP/1.1 301 Moved Permanently\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")),
  "http: 503": (raw) => raw.send(Buffer.from("HTTP/1.1 503 Busy\r\nConnection: close\r\n\r\n")),
  "http: another's accept": (raw) => raw.send(answerTo("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")),
  "http: a body for ever": async (raw) => {
    raw.send(Buffer.from("HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n"))
    while (raw.over === undefined && raw.send(Buffer.from(`4000\r\n${"x".repeat(0x4000)}\r\n`))) await sleep(1)
  },
  "http: a megabyte of headers": (raw) =>
    raw.send(Buffer.from(`HTTP/1.1 101 Switching Protocols\r\n${"X-Long: 0123456789\r\n".repeat(50_000)}`)),
  "frames: masked": (raw, head) => {
    raw.send(answerTo(head))
    raw.send(frame(random(64)))
  },
  "frames: text": (raw, head) => {
    raw.send(answerTo(head))
    raw.send(frame(Buffer.from("hello"), { mask: false, opcode: opcodes.text }))
  },
  "frames: a Close at once": (raw, head) => {
    raw.send(answerTo(head))
    raw.send(close(1000, { mask: false }))
  }
}

export default async ({ appKey, kinds, say, stack, step, stopped }) => {
  const protocol = protocolOf(stack)
  const { faultyServers, lengths, server } = protocol
  const keys = { appKey: Buffer.from(appKey, "base64"), identity: identity() }
  const wrong = { ...keys, appKey: random(32) }

  /** The server's messages, each through `send`, which is told where in all of them it begins. */
  const handshake = async (raw, send) => {
    const steps = server(keys)
    steps.next()
    if (!(await send(steps.next(await raw.read(lengths.client[0])).value, 0))) return
    await send(steps.next(await raw.read(lengths.client[1])).value.last, lengths.server[0])
  }
  const cut = (how) => async (raw, i) => {
    const at = i * step
    let passed = 0
    await handshake(raw, async (message, from) => {
      passed = from + message.length
      const part = message.subarray(0, Math.max(0, at - from))
      if (part.length > 0) raw.write(part)
      if (at > passed) return true
      // What was sent is to arrive before a RST overtakes it.
      if (how === "reset") await sleep(2)
      raw[how]()
      return false
    })
  }
  const after = (damage) => async (raw) => {
    const peer = await answer(raw, stack, keys)
    await peer.hear(4)
    await damage(peer)
  }

  /** As it is, or once the socket is a WebSocket. */
  const upgraded = (behave) => async (raw, i) => behave(await welcome(raw, stack), i)
  const overWebSocket = transportOf(stack) !== "net"

  const ofTheProtocol = {
    honest: async (raw) => {
      const peer = await answer(raw, stack, keys)
      peer.say(await peer.hear(4))
      raw.write(peer.sealer.goodbye())
    },
    silent: () => {},
    drip: async (raw) => {
      await handshake(raw, async (message) => {
        for (const byte of message) {
          raw.write(Buffer.from([byte]))
          await Promise.race([sleep(400), raw.closed])
          if (raw.over !== undefined) return false
        }
        return true
      })
    },
    "closes at once": (raw) => raw.end(),
    "resets at once": (raw) => raw.reset(),
    garbage: (raw) => raw.write(random(100_000)),
    "of another network": (raw) => answer(raw, stack, wrong),
    reflects: async (raw) => {
      for (let chunk = await raw.take(); chunk !== undefined; chunk = await raw.take()) raw.write(chunk)
    },
    flip: (raw, i) =>
      handshake(raw, async (message, from) => {
        const bit = i * step - from * 8
        const out = Buffer.from(message)
        if (bit >= 0 && bit < out.length * 8) out[bit >> 3] ^= 1 << (bit & 7)
        raw.write(out)
        return true
      }),
    "cut by FIN": cut("end"),
    "cut by RST": cut("reset"),
    ...Object.fromEntries(
      faultyServers.map(([name, faulty]) => [`faulty: ${name}`, (raw) => answer(raw, stack, keys, faulty)])
    ),
    ...Object.fromEntries(
      Object.entries({ ...ofTheNetwork(protocol), ...ofThePeer(protocol) }).map(([name, damage]) => [
        name,
        after(damage)
      ])
    ),
    "what it was sent": async (raw) => {
      await answer(raw, stack, keys)
      raw.write(await raw.take())
    }
  }

  const behaviours = {
    ...Object.fromEntries(Object.entries(ofTheProtocol).map(([name, behave]) => [name, upgraded(behave)])),
    ...(overWebSocket &&
      Object.fromEntries(
        Object.entries(httpBehaviours).map(([name, behave]) => [name, async (raw) => behave(raw, await raw.readHead())])
      ))
  }
  const secureContext =
    transportOf(stack) === "wss"
      ? tls.createSecureContext({ key: fixture("server.key"), cert: fixture("server.crt") })
      : undefined
  const secured = (socket) =>
    new tls.TLSSocket(streamOf(socket), { isServer: true, secureContext, ALPNProtocols: ["http/1.1"] })

  const servers = await Promise.all(
    Object.entries(behaviours)
      .filter(([name]) => kinds === undefined || kinds.includes(name))
      .map(
        ([kind, behave]) =>
          new Promise((resolve) => {
            let connections = 0
            const listener = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
              const raw = secureContext === undefined ? new Raw(socket) : new Raw(secured(socket), socket)
              raw.closed.then(() => raw.end())
              raw.gone.then(() => raw.fin())
              Promise.resolve(behave(raw, connections++)).catch(() => raw.destroy())
            })
            stopped.then(() => listener.close())
            listener.listen(0, "127.0.0.1", () => resolve({ kind, port: listener.address().port }))
          })
      )
  )
  say({ servers, publicKey: keys.identity.publicKey.toString("base64"), bytes: lengths.server })
  await stopped
}
