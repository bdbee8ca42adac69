/**
 * What a WebSocket of ours hears and says, against a peer that is nothing but a TCP socket: the same on each runtime.
 * As a script it prints the outcomes as JSON.
 */
import { createHash } from "node:crypto"
import * as net from "node:net"
import { fileURLToPath } from "node:url"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type { Connection } from "../../src/Connection.ts"
import type { ConnectionError } from "../../src/ConnectionError.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { portOf } from "./plain.ts"
import { multiserver } from "./support.ts"

// -----------------------------------------------------------------------------
// the peer
// -----------------------------------------------------------------------------

const codes = { text: 1, binary: 2, reserved: 3, close: 8, ping: 9, pong: 10 } as const

interface Frame {
  readonly code: number
  readonly payload: Buffer
}

/** Frames of less than 126 bytes: here there are no others. */
const encode = ({ code, payload }: Frame, masked: boolean): Buffer => {
  const head = Uint8Array.of(0x80 | code, (masked ? 0x80 : 0) | payload.length)
  // A mask of zeros changes nothing.
  return Buffer.concat([head, new Uint8Array(masked ? 4 : 0), payload])
}

const decode = (bytes: Buffer): { readonly frame: Frame; readonly rest: Buffer } | undefined => {
  const [first = 0, second = 0] = bytes
  const masked = second > 127
  const from = masked ? 6 : 2
  const to = from + (second & 127)
  if (bytes.length < to) return undefined
  const payload = Buffer.from(bytes.subarray(from, to))
  if (masked) for (const [i, byte] of payload.entries()) payload[i] = byte ^ (bytes[2 + (i % 4)] ?? 0)
  return { frame: { code: first & 15, payload }, rest: bytes.subarray(to) }
}

const closeCode = (code: number | undefined): Buffer => {
  const payload = Buffer.alloc(code === undefined ? 0 : 2)
  if (code !== undefined) payload.writeUInt16BE(code)
  return payload
}

/** The other end, after the upgrade. */
interface Peer {
  readonly say: (code: keyof typeof codes, payload?: Uint8Array) => Effect.Effect<void>
  readonly close: (code?: number) => Effect.Effect<void>
  /** Waits for the next frame of a kind. */
  readonly hear: (code: keyof typeof codes) => Effect.Effect<void>
  readonly socket: net.Socket
}

const after = (bytes: Buffer): Buffer | undefined => {
  const end = bytes.indexOf("\r\n\r\n")
  return end < 0 ? undefined : bytes.subarray(end + 4)
}

/** Reads an HTTP head, and from then on frames. */
const upgraded = (socket: net.Socket, onHead: (head: string) => void) =>
  Effect.gen(function* () {
    const frames = yield* Queue.unbounded<Frame>()
    const ready = yield* Deferred.make<void>()
    let bytes: Buffer = Buffer.alloc(0)
    let isOpen = false
    socket.on("error", () => {})
    socket.on("data", (data: Buffer) => {
      bytes = Buffer.concat([bytes, data])
      if (!isOpen) {
        const rest = after(bytes)
        if (rest === undefined) return
        onHead(bytes.toString("latin1"))
        bytes = rest
        isOpen = true
        Deferred.doneUnsafe(ready, Effect.void)
      }
      for (let next = decode(bytes); next !== undefined; next = decode(bytes)) {
        Queue.offerUnsafe(frames, next.frame)
        bytes = next.rest
      }
    })
    return { frames, ready: Deferred.await(ready) }
  })

const peerOf = (socket: net.Socket, frames: Queue.Dequeue<Frame>, isClient: boolean): Peer => {
  const say: Peer["say"] = (code, payload = new Uint8Array(0)) =>
    Effect.callback((resume) => {
      socket.write(encode({ code: codes[code], payload: Buffer.from(payload) }, isClient), () => resume(Effect.void))
    })
  const hear: Peer["hear"] = (code) =>
    Effect.flatMap(Queue.take(frames), (frame) => (frame.code === codes[code] ? Effect.void : hear(code)))
  return { say, hear, socket, close: (code) => say("close", closeCode(code)) }
}

/** Ours, dialed. */
const dialed = Effect.gen(function* () {
  const arrived = yield* Queue.unbounded<net.Socket>()
  const server = yield* Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer({ allowHalfOpen: true }, (socket) => Queue.offerUnsafe(arrived, socket))
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  const dialing = yield* Effect.forkScoped(Effect.result(Multiserver.dial(`ws://127.0.0.1:${port}`)))
  const socket = yield* Queue.take(arrived)
  yield* Effect.addFinalizer(() => Effect.sync(() => socket.destroy()))
  const { frames, ready } = yield* upgraded(socket, (head) => {
    const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1]
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
    )
  })
  yield* ready
  return {
    connection: yield* Effect.flatMap(Fiber.join(dialing), Effect.fromResult),
    peer: peerOf(socket, frames, false)
  }
})

/** Ours, accepted. */
const accepted = Effect.gen(function* () {
  const arrived = yield* Deferred.make<Connection>()
  const listener = yield* Multiserver.listen("ws://127.0.0.1:0")
  yield* Effect.forkScoped(
    listener.run((connection) => Effect.andThen(Deferred.succeed(arrived, connection), Effect.never))
  )
  const port = portOf(listener.addresses()[0])
  const socket = yield* Effect.acquireRelease(
    Effect.sync(() => net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })),
    (socket) => Effect.sync(() => socket.destroy())
  )
  const { frames, ready } = yield* upgraded(socket, () => {})
  socket.write(
    [
      "GET / HTTP/1.1",
      `Host: 127.0.0.1:${port}`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
      "\r\n"
    ].join("\r\n")
  )
  yield* ready
  return { connection: yield* Deferred.await(arrived), peer: peerOf(socket, frames, true) }
})

// -----------------------------------------------------------------------------
// scenarios
// -----------------------------------------------------------------------------

/** How a pull or a write fails, as words. */
const failure = (effect: Effect.Effect<unknown, ConnectionError | Cause.Done>): Effect.Effect<string> =>
  Effect.match(effect, {
    onSuccess: () => "ok",
    onFailure: (error) => {
      if (Cause.isDone(error)) return "Done"
      const { reason } = error
      return "code" in reason ? `${reason._tag}(${reason.code})` : reason._tag
    }
  })

/** How much there is to read, and how it ends. */
const readToEnd = (connection: Connection): Effect.Effect<string> =>
  Effect.suspend(() => {
    let bytes = 0
    const pull = Effect.map(connection.pull, (chunks) => {
      for (const chunk of chunks) bytes += chunk.length
    })
    return Effect.map(failure(Effect.forever(pull)), (word) => `${bytes} bytes, ${word}`)
  })

const some = new Uint8Array(10)
const half = (peer: Peer): Effect.Effect<void> => Effect.sync(() => void peer.socket.end())

interface Scenario {
  readonly peer: (peer: Peer) => Effect.Effect<void>
  /** By default it reads to the end. `said` is done when the peer has done its part. */
  readonly ours?: (connection: Connection, said: Effect.Effect<void>) => Effect.Effect<string>
  readonly expected: string
}

/** Some bytes and a Close, and then it lets go. */
const answers = (peer: Peer, code?: number): Effect.Effect<void> =>
  peer.say("binary", some).pipe(Effect.andThen(peer.close(code)), Effect.andThen(half(peer)))

/** Some bytes and a Close, which ours answers; then it lets go. */
const closes = (peer: Peer, code?: number): Effect.Effect<void> =>
  peer
    .say("binary", some)
    .pipe(Effect.andThen(peer.close(code)), Effect.andThen(peer.hear("close")), Effect.andThen(half(peer)))

const pingMillis = 50

export const scenarios: Record<string, Scenario> = {
  "a Close 1000": { peer: (peer) => closes(peer, 1000), expected: "10 bytes, Done" },
  "a Close without a code": { peer: (peer) => closes(peer), expected: "10 bytes, Done" },
  "a Close with another code": { peer: (peer) => closes(peer, 4321), expected: "10 bytes, Reset(WS_4321)" },
  "a FIN without a Close": {
    peer: (peer) => Effect.andThen(peer.say("binary", some), half(peer)),
    expected: "10 bytes, Truncated"
  },
  "its own Close, answered": {
    peer: (peer) => Effect.andThen(peer.hear("close"), answers(peer, 1000)),
    ours: (connection) => Effect.andThen(Effect.orDie(connection.end), readToEnd(connection)),
    expected: "10 bytes, Done"
  },
  "its own Close, answered by a FIN": {
    peer: (peer) => Effect.andThen(peer.hear("close"), Effect.andThen(peer.say("binary", some), half(peer))),
    ours: (connection) => Effect.andThen(Effect.orDie(connection.end), readToEnd(connection)),
    expected: "10 bytes, Truncated"
  },
  "a Close that it reads late": {
    peer: (peer) => closes(peer, 1000),
    ours: (connection, said) => Effect.andThen(said, readToEnd(connection)),
    expected: "10 bytes, Done"
  },
  "a Close, and writes on": {
    peer: (peer) => closes(peer, 1000),
    ours: (connection) =>
      Effect.gen(function* () {
        const read = yield* readToEnd(connection)
        return `${read}, then ${yield* failure(Effect.forever(connection.write(some)))}`
      }),
    expected: "10 bytes, Done, then Reset(EPIPE)"
  },
  text: { peer: (peer) => peer.say("text", some), expected: "0 bytes, ProtocolViolation" },
  "a frame that is none": { peer: (peer) => peer.say("reserved", some), expected: "0 bytes, ProtocolViolation" },
  "nothing but answers to its pings": {
    peer: (peer) =>
      Effect.gen(function* () {
        for (let i = 0; i < 6; i++) {
          yield* peer.hear("ping")
          yield* peer.say("pong")
        }
        yield* closes(peer, 1000)
      }),
    expected: "10 bytes, Done"
  },
  "nothing, not even answers to its pings": { peer: () => Effect.never, expected: "0 bytes, TimedOut" }
}

const sides = { dialed, accepted }

const outcome = (side: keyof typeof sides, { ours = readToEnd, peer }: Scenario) =>
  Effect.gen(function* () {
    const both = yield* sides[side]
    const said = yield* Effect.forkScoped(peer(both.peer))
    return yield* ours(both.connection, Fiber.join(said))
  }).pipe(Effect.scoped, Effect.provide(multiserver({}, {}, { ping: pingMillis })))

/** Ours with ours, encrypted: both ends say goodbye, and close. */
const encrypted = Effect.gen(function* () {
  const listener = yield* Multiserver.listen("ws://127.0.0.1:0~shs")
  const atListener = yield* Deferred.make<string>()
  yield* Effect.forkScoped(
    listener.run((connection) =>
      readToEnd(connection).pipe(
        Effect.flatMap((read) => Deferred.succeed(atListener, read)),
        Effect.andThen(connection.write(new Uint8Array(200_000))),
        Effect.andThen(connection.end)
      )
    )
  )
  const connection = yield* Multiserver.dial(String(listener.addresses()[0]))
  yield* Effect.andThen(connection.write(new Uint8Array(100_000)), connection.end)
  return `${yield* readToEnd(connection)}; ${yield* Deferred.await(atListener)}`
}).pipe(Effect.scoped, Effect.provide(multiserver()))

/** What is heard, by side and scenario, as `expected` says it. */
export const outcomes = Effect.gen(function* () {
  const heard: Record<string, string> = {}
  for (const side of ["dialed", "accepted"] as const) {
    for (const [name, scenario] of Object.entries(scenarios)) heard[`${side}: ${name}`] = yield* outcome(side, scenario)
  }
  heard.encrypted = yield* encrypted
  return heard
})

export const expected: Record<string, string> = { encrypted: "200000 bytes, Done; 100000 bytes, Done" }
for (const side of ["dialed", "accepted"]) {
  for (const [name, scenario] of Object.entries(scenarios)) expected[`${side}: ${name}`] = scenario.expected
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(JSON.stringify(await Effect.runPromise(outcomes)))
}
