/** `ws` over the platform's own WebSocket: what it says and hears, and how it fails. The platform is Node here. */
import * as fs from "node:fs"
import * as net from "node:net"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import { WebSocket as Ws } from "ws"
import type { Address, AddressError } from "../../src/Address.ts"
import { format } from "../../src/Address.ts"
import * as AppKey from "../../src/AppKey.ts"
import * as Connection from "../../src/Connection.ts"
import type { DialError } from "../../src/DialError.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Policy from "../../src/Policy.ts"
import { appKeyBytes, exchange, identity, total } from "../interop/setup.ts"
import * as ChildPeer from "../support/childPeer.ts"
import { echo, pattern, readAll, sameBytes, served, turns, until } from "../support/servers.ts"
import { base64 } from "../support/vectors.ts"
import { hasWebSocket, page } from "./browserSupport.ts"
import { httpPort, httpServer, serve as servePlain } from "./plain.ts"
import { multiserver } from "./support.ts"

/** A listener on Node, with keys of its own: its address, and the connections that it accepts. */
const listening = <E>(target: string, handler: (connection: Connection.Connection) => Effect.Effect<unknown, E>) =>
  Effect.map(
    Effect.flatMap(Layer.build(multiserver()), (context) => Effect.provide(served(target, handler), context)),
    ([address]) => format(address as Address)
  )

const refusal = <A, R>(dial: Effect.Effect<A, AddressError | DialError, R>) =>
  Effect.map(Effect.flip(dial), (error) => (error._tag === "DialError" ? error.reason : assert.fail(error.message)))

/** How the far side of a connection goes. */
const watched = () => {
  const ended = Deferred.makeUnsafe<string>()
  const handler = (connection: Connection.Connection) =>
    readAll(connection).pipe(
      Effect.match({ onSuccess: (bytes) => `end of ${bytes.length}`, onFailure: ({ reason }) => reason.message }),
      Effect.flatMap((how) => Deferred.succeed(ended, how))
    )
  return { handler, ended: Deferred.await(ended) }
}

describe.skipIf(!hasWebSocket)("the platform's own WebSocket", () => {
  it.live.each(["shs", "noise"])("exchanges 4 MiB with a listener of ours on Node, over %s", (transform) =>
    Effect.gen(function* () {
      const address = yield* listening(`ws://127.0.0.1:0~${transform}`, echo)
      const body = pattern(4 * 1024 * 1024)
      const connection = yield* Multiserver.dial(address)
      assert.strictEqual(format(connection.remote), address)
      assert.isTrue(sameBytes(yield* exchange(connection, body), body))
    }).pipe(Effect.scoped, Effect.provide(page()))
  )

  it.live("exchanges bytes with npm multiserver, and both hear a clean end", () =>
    Effect.gen(function* () {
      const { next, tell } = yield* ChildPeer.start(new URL("./peers/multiserver.mjs", import.meta.url))
      const common = { seed: identity(103).seed, appKey: base64(appKeyBytes) }
      yield* tell({ serve: { stack: "ws~shs", reply: "stream", ...common } })
      const { address } = yield* next("listening")
      for (const size of [0, 1, 4096, 65_536, 1_000_000]) {
        const body = pattern(size, size + 1)
        const connection = yield* Multiserver.dial(address)
        assert.isTrue(sameBytes(yield* exchange(connection, body), body), `the echo of ${size} bytes`)
        const { error, received } = yield* next("exchanged")
        assert.deepStrictEqual({ error, received }, { error: null, received: total(body) })
        assert.strictEqual((yield* connection.closed).tag, "end")
      }
    }).pipe(Effect.scoped, Effect.provide(page().pipe(Layer.provide(AppKey.layer(Redacted.make(appKeyBytes))))))
  )

  it.live("delivers everything when its scope closes right after a write, and then says goodbye", () =>
    Effect.gen(function* () {
      for (const transform of ["~shs", "~noise", ""]) {
        const { ended, handler } = watched()
        const address = yield* listening(`ws://127.0.0.1:0${transform}`, handler)
        yield* Effect.scoped(Effect.flatMap(Multiserver.dial(address), ({ write }) => write(pattern(3_000_000))))
        assert.strictEqual(yield* ended, "end of 3000000")
      }
    }).pipe(Effect.scoped, Effect.provide(page()))
  )

  it.live("hears the end of a listener that leaves first, and ends cleanly itself", () =>
    Effect.gen(function* () {
      for (const transform of ["shs", "noise"]) {
        const address = yield* listening(`ws://127.0.0.1:0~${transform}`, ({ write }) => write(pattern(100_000)))
        const connection = yield* Multiserver.dial(address)
        assert.lengthOf(yield* readAll(connection), 100_000)
        yield* turns
        yield* connection.end
        assert.strictEqual((yield* connection.closed).tag, "end")
      }
    }).pipe(Effect.scoped, Effect.provide(page()))
  )

  it.live("dials wss, with a class of WebSockets of the program's own", () =>
    Effect.gen(function* () {
      const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))
      const credentials = { key: fixture("server.key"), cert: fixture("server.crt") }
      const context = yield* Layer.build(multiserver({ credentials }))
      const [address] = yield* Effect.provide(served("wss://127.0.0.1:0~shs", echo), context)
      const ca = fs.readFileSync(fixture("ca.crt"))
      class Trusting extends Ws {
        constructor(url: string) {
          super(url, { ca })
        }
      }
      const body = pattern(100_000)
      const dial = Multiserver.dial(address as Address)
      const echoed = Effect.flatMap(dial, (connection) => exchange(connection, body)).pipe(
        Effect.scoped,
        Effect.provide(page({ WebSocket: Trusting }))
      )
      assert.isTrue(sameBytes(yield* echoed, body))
      // Node itself does not trust the certificate.
      const { _tag, message } = yield* refusal(Effect.provide(Effect.scoped(dial), page()))
      assert.strictEqual(_tag, "Unreachable")
      assert.match(message, /the platform does not say which/)
    }).pipe(Effect.scoped)
  )
})

describe.skipIf(!hasWebSocket)("its reads", () => {
  it.live("end with Overflow above the bound, while nobody reads, and what had arrived can be read", () =>
    Effect.gen(function* () {
      const told = Deferred.makeUnsafe<string>()
      const address = yield* listening("ws://127.0.0.1:0~noise", ({ write }) =>
        Effect.forever(write(pattern(65_536))).pipe(
          Effect.catch(({ reason }) => Deferred.succeed(told, reason.message))
        )
      )
      const connection = yield* Multiserver.dial(address)
      const { failure, tag } = yield* connection.closed
      assert.strictEqual(tag, "Overflow")
      assert.match(`${failure?.message}`, /more than 1000000 bytes .* raise maxUnread/)
      assert.isFalse(failure?._tag === "Defect" || failure?.isRetryable)
      let bytes = 0
      const error = yield* connection.pull.pipe(
        Effect.map((chunks) => chunks.forEach(({ length }) => (bytes += length))),
        Effect.forever({ disableYield: true }),
        Effect.flip
      )
      assert.strictEqual(error._tag === "ConnectionError" && error.reason._tag, "Overflow")
      assert.isAbove(bytes, 500_000)
      assert.isBelow(bytes, 1_200_000)
      assert.match(yield* Deferred.await(told), /WS_4000|EPIPE/)
    }).pipe(Effect.scoped, Effect.provide(page({ maxUnread: 1_000_000 })))
  )

  it.live("have no bound but that: much more passes while somebody reads", () =>
    Effect.gen(function* () {
      const address = yield* listening("ws://127.0.0.1:0~noise", ({ write }) => write(pattern(8_000_000)))
      const connection = yield* Multiserver.dial(address)
      assert.lengthOf(yield* readAll(connection), 8_000_000)
    }).pipe(Effect.scoped, Effect.provide(page({ maxUnread: 2_000_000 })))
  )
})

describe.skipIf(!hasWebSocket)("its writes", () => {
  it.live("wait for a peer that doesn't read, with little in between, and go on when it does", () =>
    Effect.gen(function* () {
      const reading = Deferred.makeUnsafe<void>()
      const { ended, handler } = watched()
      const address = yield* listening("ws://127.0.0.1:0", (far) =>
        Effect.andThen(Deferred.await(reading), handler(far))
      )
      const made: Array<globalThis.WebSocket> = []
      class Seen extends globalThis.WebSocket {
        constructor(url: string) {
          super(url)
          made.push(this)
        }
      }
      yield* Effect.gen(function* () {
        const connection = yield* Multiserver.dial(address)
        let written = 0
        const writing = yield* Effect.forkChild(
          Effect.forEach(
            Array.from({ length: 400 }, () => pattern(65_536)),
            (chunk) => Effect.map(connection.write(chunk), () => void written++)
          )
        )
        // The kernels have taken what they take.
        yield* until(() => (made[0]?.bufferedAmount ?? 0) >= 1024 * 1024)
        yield* turns
        assert.isBelow(written, 400)
        assert.isBelow(made[0]?.bufferedAmount ?? 0, 2 * 1024 * 1024)
        yield* Deferred.succeed(reading, undefined)
        yield* Fiber.join(writing)
        yield* connection.end
        assert.strictEqual(yield* ended, `end of ${400 * 65_536}`)
      }).pipe(Effect.scoped, Effect.provide(page({ WebSocket: Seen })))
    }).pipe(Effect.scoped)
  )
})

describe.skipIf(!hasWebSocket)("it fails", () => {
  it.live("as Unreachable when nothing listens, when there is no WebSocket, and when what answers speaks no HTTP", () =>
    Effect.gen(function* () {
      const web = yield* httpServer((_, response) => void response.writeHead(404).end())
      const babble = yield* Effect.acquireRelease(
        Effect.callback<net.Server>((resume) => {
          const server = net.createServer((socket) => socket.on("error", () => {}).end("hello\r\n\r\n"))
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const { port } = babble.address() as net.AddressInfo
      for (const at of [1, httpPort(web), port]) {
        const reason = yield* refusal(Effect.scoped(Multiserver.dial(`ws://127.0.0.1:${at}`)))
        assert.strictEqual(reason._tag, "Unreachable")
        assert.isTrue(reason.isRetryable)
        assert.match(reason.message, /WS_1006.*the platform does not say which/)
      }
    }).pipe(Effect.scoped, Effect.provide(page()))
  )

  it.live("with a reason of the handshake for a key that is not the listener's", () =>
    Effect.gen(function* () {
      const address = yield* listening("ws://127.0.0.1:0~shs", () => Effect.void)
      const other = address.replace(/shs:.*/, `shs:${identity(7).publicKey}`)
      const reason = yield* refusal(Effect.scoped(Multiserver.dial(other)))
      assert.strictEqual(reason._tag === "HandshakeError" && reason.reason._tag, "Rejected")
    }).pipe(Effect.scoped, Effect.provide(page()))
  )

  it.live("as NotDialable where there is no WebSocket, or its class throws", () =>
    Effect.gen(function* () {
      class Refusing extends globalThis.WebSocket {
        constructor(url: string) {
          super(url, "not a protocol")
        }
      }
      const reasons = yield* Effect.all([
        refusal(Effect.scoped(Multiserver.dial("ws://127.0.0.1:9"))).pipe(
          Effect.provide(page({ WebSocket: Refusing }))
        ),
        refusal(Effect.scoped(Multiserver.dial("ws://[fe80::1%eth0]:9"))).pipe(Effect.provide(page())),
        refusal(Effect.scoped(Multiserver.dial("ws://127.0.0.1:0"))).pipe(Effect.provide(page()))
      ])
      assert.deepStrictEqual(
        reasons.map(({ _tag }) => _tag),
        ["NotDialable", "NotDialable", "NotDialable"]
      )
      assert.match(reasons[0].message, /the platform refuses it/)
      assert.match(reasons[1].message, /zone/)
    })
  )

  it.live("as Truncated when the server is killed in the middle of a transfer, and dials again", () =>
    Effect.gen(function* () {
      const sockets = new Set<net.Socket>()
      let carried = 0
      const server = yield* Effect.acquireRelease(
        Effect.callback<net.Server>((resume) => {
          const server = net.createServer()
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const address = yield* listening("ws://127.0.0.1:0~shs", (far) => Effect.forever(far.write(pattern(65_536))))
      const { port: to } = new URL(address.replace(/~.*/, ""))
      // A wire that the test cuts.
      server.on("connection", (near) => {
        const far = net.connect(Number(to), "127.0.0.1")
        for (const [from, into] of [
          [near, far],
          [far, near]
        ] as const) {
          sockets.add(from)
          from.on("error", () => {})
          from.on("close", () => into.destroy())
          from.on("data", ({ length }) => (carried += length)).pipe(into)
        }
      })
      const { port } = server.address() as net.AddressInfo
      const wire = address.replace(`:${to}`, `:${port}`)
      for (let times = 0; times < 2; times++) {
        const connection = yield* Multiserver.dial(wire)
        const reading = yield* Effect.forkChild(Effect.flip(readAll(connection)))
        const writing = yield* Effect.forkChild(Effect.flip(Effect.forever(connection.write(pattern(65_536)))))
        const before = carried
        yield* until(() => carried > before + 1_000_000)
        for (const socket of sockets) socket.resetAndDestroy()
        sockets.clear()
        for (const fiber of [reading, writing]) {
          const error = yield* Fiber.join(fiber)
          assert.strictEqual(error.reason._tag, "Truncated")
          assert.isTrue(error.isRetryable)
        }
        assert.strictEqual((yield* connection.closed).tag, "Truncated")
      }
    }).pipe(Effect.scoped, Effect.provide(page()))
  )

  it.live("as a violation when the peer sends text, and as Reset for a Close that is no clean end", () =>
    Effect.gen(function* () {
      const { address, clients } = yield* servePlain()
      const dialed = (talk: (ws: Ws) => void) =>
        Effect.gen(function* () {
          const connection = yield* Multiserver.dial(address)
          talk((yield* Queue.take(clients)).ws)
          const { failure } = yield* connection.closed
          return `${failure?._tag} ${failure?.message}`
        }).pipe(Effect.scoped)
      assert.match(yield* dialed((ws) => ws.send("text")), /^ProtocolViolation .*a text message/)
      assert.match(yield* dialed((ws) => ws.close(1011)), /^Reset .*WS_1011/)
      assert.match(yield* dialed((ws) => ws.terminate()), /^Truncated/)
    }).pipe(Effect.scoped, Effect.provide(page()))
  )

  it.live("a write after the peer's Close with EPIPE, and not a goodbye", () =>
    Effect.gen(function* () {
      const { address, clients } = yield* servePlain()
      const connection = yield* Multiserver.dial(address)
      const { ws } = yield* Queue.take(clients)
      ws.send(new Uint8Array(5))
      ws.close()
      assert.lengthOf(yield* readAll(connection), 5)
      const error = yield* Effect.flip(Effect.forever(connection.write(pattern(10))))
      assert.strictEqual(error.reason._tag === "Reset" && error.reason.code, "EPIPE")
      const leaving = yield* Multiserver.dial(address)
      ;(yield* Queue.take(clients)).ws.close()
      yield* readAll(leaving)
      yield* leaving.end
      assert.strictEqual((yield* leaving.closed).tag, "end")
    }).pipe(Effect.scoped, Effect.provide(page()))
  )
})

describe.skipIf(!hasWebSocket)("breaking it off", () => {
  it.live("is no clean end for the peer", () =>
    Effect.gen(function* () {
      for (const transform of ["~shs", ""]) {
        const { ended, handler } = watched()
        const address = yield* listening(`ws://127.0.0.1:0${transform}`, handler)
        yield* Multiserver.dial(address).pipe(
          Effect.flatMap((connection) => Effect.andThen(connection.write(pattern(10)), Connection.destroy(connection))),
          Effect.scoped
        )
        assert.match(yield* ended, /WS_4000/)
      }
    }).pipe(Effect.scoped, Effect.provide(page()))
  )

  it.live("closes the socket when a dial is interrupted while it connects", () =>
    Effect.gen(function* () {
      let closed = 0
      let seen = 0
      const silent = yield* Effect.acquireRelease(
        Effect.callback<net.Server>((resume) => {
          const server = net.createServer((socket) => {
            seen++
            socket.on("close", () => closed++).on("error", () => {})
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const { port } = silent.address() as net.AddressInfo
      const fiber = yield* Effect.forkChild(Effect.scoped(Multiserver.dial(`ws://127.0.0.1:${port}`)))
      yield* until(() => seen === 1)
      yield* Fiber.interrupt(fiber)
      yield* until(() => closed === 1)
    }).pipe(Effect.scoped, Effect.provide(page()))
  )
})

describe.skipIf(!hasWebSocket)("its rules", () => {
  it.live("don't let it listen", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(Multiserver.listen("ws://127.0.0.1:0~shs")))
      assert.strictEqual(error._tag === "ListenError" && error.reason._tag, "NotListenable")
    }).pipe(Effect.provide(page()))
  )

  it.live("refuse names where policy has rules about IPs, and say why; IPs are judged", () =>
    Effect.gen(function* () {
      const address = yield* listening("ws://127.0.0.1:0~shs", echo)
      const named = address.replace("127.0.0.1", "localhost")
      const outcome = (rules: Layer.Layer<never, unknown>, target: string) =>
        Effect.scoped(Multiserver.dial(target)).pipe(
          Effect.match({
            onSuccess: () => "open",
            onFailure: (error) => (error._tag === "DialError" ? error.reason.message : error.message)
          }),
          Effect.provide(page().pipe(Layer.provide(Layer.orDie(rules))))
        )
      const unknown = /rules about IPs, and this platform does not say to which IP localhost leads/
      const custom = (rules: Partial<Policy.PolicyRules>) =>
        Layer.succeed(Policy.Policy, { ...Policy.allowAll, ...rules })
      for (const [rules, ip, name] of [
        [Policy.layer({}), /^open/, /^open/],
        [Policy.layer({ order: Policy.prefer("noise") }), /^open/, /^open/],
        [Policy.layer({ dial: { deny: ["10.0.0.0/8"] } }), /^open/, unknown],
        [Policy.layer({ dial: { deny: ["127.0.0.0/8"] } }), /may not dial 127.0.0.1/, unknown],
        [Policy.layer({ dial: { allow: ["127.0.0.1"] } }), /^open/, unknown],
        [Policy.layer({ dial: { denyPrivate: true } }), /may not dial 127.0.0.1/, unknown],
        [custom({ mayDial: () => true }), /^open/, /^open/],
        [custom({ mayDialIp: () => true }), /^open/, unknown],
        [custom({ mayDialIp: () => true, mayDialUnknownIp: () => true }), /^open/, /^open/],
        [custom({ mayDialUnknownIp: () => false }), /^open/, unknown]
      ] as const) {
        assert.match(yield* outcome(rules, address), ip)
        assert.match(yield* outcome(rules, named), name)
      }
    }).pipe(Effect.scoped)
  )

  it.live("refuse what the platform reads as another IP than it looks like", () => {
    const dialed: Array<string> = []
    class Seen extends globalThis.WebSocket {
      constructor(url: string) {
        super("ws://127.0.0.1:9")
        dialed.push(new URL(url).hostname)
      }
    }
    const rules = Layer.orDie(Policy.layer({ dial: { deny: ["10.0.0.0/8"] } }))
    return Effect.gen(function* () {
      // The platform would dial 10.0.0.1 for each.
      for (const host of ["012.0.0.1", "10.0.00.1", "10.1", "0xa.0.0.1", "167772161"]) {
        assert.strictEqual((yield* refusal(Multiserver.dial(`ws://${host}:80`)))._tag, "DeniedByPolicy")
      }
      assert.deepStrictEqual(dialed, [])
    }).pipe(Effect.scoped, Effect.provide(page({ WebSocket: Seen }).pipe(Layer.provide(rules))))
  })
})
