import { createHook } from "node:async_hooks"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type { DialError } from "../../src/DialError.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Net from "../../src/net/Net.ts"
import * as Onion from "../../src/onion/Onion.ts"
import { pattern, readAll, sameBytes, turns, until } from "../support/servers.ts"

const name = `${"a".repeat(56)}.onion`

interface Double {
  readonly port: number
  /** What clients asked for, after the greeting: ATYP, the name, the port. */
  readonly asked: Array<{ readonly type: number; readonly host: string; readonly port: number; readonly user: string }>
  readonly sockets: Set<net.Socket>
}

type Behaviour = "echo" | "silent" | "silent-after-greeting" | "hang-up" | "garbage" | "speaks-first" | number

/** A SOCKS5 proxy of the test's own; a number is the reply code with which it refuses. */
const socksDouble = (behaviour: Behaviour) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly double: Double; readonly server: net.Server }>((resume) => {
        const sockets = new Set<net.Socket>()
        const asked: Double["asked"] = []
        const server = net.createServer({ allowHalfOpen: true }, (socket) => {
          sockets.add(socket)
          socket.on("error", () => {})
          socket.on("close", () => sockets.delete(socket))
          let state: "greeting" | "password" | "request" | "open" = "greeting"
          let user = ""
          socket.on("data", (data) => {
            if (behaviour === "silent") return
            if (behaviour === "hang-up") return void socket.destroy()
            if (behaviour === "garbage") return void socket.write("HTTP/1.1 400 Bad Request\r\n\r\n")
            switch (state) {
              case "greeting": {
                const password = data.subarray(2).includes(2)
                socket.write(Uint8Array.of(5, password ? 2 : 0))
                state = password ? "password" : "request"
                return
              }
              case "password":
                user = data.subarray(2, 2 + (data[1] ?? 0)).toString()
                socket.write(Uint8Array.of(1, 0))
                state = "request"
                return
              case "request": {
                const length = data[4] ?? 0
                const host = data.subarray(5, 5 + length).toString()
                asked.push({ type: data[3] ?? 0, host, port: data.readUInt16BE(5 + length), user })
                if (behaviour === "silent-after-greeting") return
                const code = typeof behaviour === "number" ? behaviour : 0
                const answer = Buffer.from([5, code, 0, 1, 127, 0, 0, 1, 0, 0])
                socket.write(behaviour === "speaks-first" ? Buffer.concat([answer, pattern(1000)]) : answer)
                if (behaviour === "speaks-first") setTimeout(() => socket.end(pattern(50_000, 2)), 1)
                state = "open"
                return
              }
              case "open":
                if (behaviour === "echo") socket.write(data)
            }
          })
          socket.on("end", () => socket.end())
        })
        server.listen(0, "127.0.0.1", () => {
          const double = { port: (server.address() as net.AddressInfo).port, asked, sockets }
          resume(Effect.succeed({ double, server }))
        })
      }),
      ({ double, server }) =>
        Effect.sync(() => {
          server.close()
          for (const socket of double.sockets) socket.destroy()
        })
    ),
    ({ double }) => double
  )

/** The answer of a proxy that has connected. */
const granted = Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0])

/** The port of a server that listens as long as the test. */
const listening = (server: net.Server) =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as net.AddressInfo).port)))
    }),
    () => Effect.sync(() => server.close())
  )

const multiserver = (ports: readonly [number, ...ReadonlyArray<number>], options: Onion.Options = {}) => {
  const [first, ...rest] = ports.map((port) => ({ host: "127.0.0.1", port }))
  return Multiserver.layer(["onion"]).pipe(
    Layer.provide(Onion.layer({ proxies: [first as Onion.ProxyPlace, ...rest], ...options }))
  )
}

const refused = (ports: readonly [number, ...ReadonlyArray<number>], options?: Onion.Options) =>
  Effect.flip(Multiserver.dial(`onion:${name}:8008`)).pipe(
    Effect.provide(multiserver(ports, options)),
    Effect.map((error) => error as DialError)
  )

describe("onion", () => {
  it.live("gives the proxy the name as it is, and then carries bytes with a half close", () =>
    Effect.gen(function* () {
      const proxy = yield* socksDouble("echo")
      const connection = yield* Multiserver.dial(`onion:${name}:8008`).pipe(Effect.provide(multiserver([proxy.port])))
      assert.strictEqual(String(connection.remote), `onion:${name}:8008`)
      yield* Effect.forkChild(Effect.andThen(connection.write(pattern(300_000)), connection.end))
      assert.isTrue(sameBytes(yield* readAll(connection), pattern(300_000)))
      assert.deepStrictEqual(proxy.asked, [{ type: 3, host: name, port: 8008, user: "" }])
    })
  )

  it.live("goes through a proxy on a unix socket, and says where there is none", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "socks-"))),
        (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
      )
      const socket = path.join(folder, "socks")
      const server = net.createServer({ allowHalfOpen: true }, (socket) => {
        socket.once("data", () => {
          socket.write(Uint8Array.of(5, 0))
          socket.once("data", () => socket.end(Buffer.concat([granted, pattern(1000)])))
        })
      })
      yield* Effect.acquireRelease(
        Effect.callback<void>((resume) => void server.listen(socket, () => resume(Effect.void))),
        () => Effect.sync(() => server.close())
      )
      const dial = (proxies: Onion.Options["proxies"]) =>
        Multiserver.dial(`onion:${name}:8008`).pipe(
          Effect.provide(
            Multiserver.layer(["onion"]).pipe(Layer.provide(Onion.layer(proxies === undefined ? {} : { proxies })))
          )
        )
      const connection = yield* dial([{ path: path.join(folder, "absent") }, { path: socket }])
      assert.isTrue(sameBytes(yield* readAll(connection), pattern(1000)))
      const error = yield* Effect.flip(dial([{ path: path.join(folder, "absent") }]))
      assert.strictEqual(error.reason._tag, "Proxy")
      assert.include(error.message, `no proxy at ${folder}/absent (ENOENT)`)
    })
  )

  it.live("loses nothing of what the peer says right behind the proxy's answer", () =>
    Effect.gen(function* () {
      const proxy = yield* socksDouble("speaks-first")
      const connection = yield* Multiserver.dial(`onion:${name}:8008`).pipe(Effect.provide(multiserver([proxy.port])))
      const expected = Buffer.concat([pattern(1000), pattern(50_000, 2)])
      assert.isTrue(sameBytes(yield* readAll(connection), expected))
    })
  )

  it.live("loses neither that nor the end when both come in the very read of the answer", () =>
    Effect.gen(function* () {
      // Node reads 64 KiB at a time, and on at once when it got as much: the end is then there before anybody else's
      // turn.
      const size = 65_536 - 10
      const server = net.createServer({ allowHalfOpen: true }, (socket) => {
        socket.once("data", () => {
          socket.write(Uint8Array.of(5, 0))
          socket.once("data", () => socket.end(Buffer.concat([granted, pattern(size)])))
        })
      })
      const port = yield* listening(server)
      const connection = yield* Multiserver.dial(`onion:${name}:8008`).pipe(Effect.provide(multiserver([port])))
      assert.isTrue(sameBytes(yield* readAll(connection), pattern(size)))
    })
  )

  it.live("asks nothing of a proxy that isolates nobody, when it is told to isolate", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const server = net.createServer((socket) => {
        socket.on("data", (data) => {
          asked.push(data.toString("hex"))
          socket.write(Uint8Array.of(5, 0))
        })
        socket.on("error", () => {})
      })
      const error = yield* refused([yield* listening(server)], { isolate: true })
      assert.strictEqual(error.reason._tag, "Proxy")
      assert.include(error.message, "can't isolate dials")
      assert.isFalse(error.isRetryable)
      yield* turns
      assert.deepStrictEqual(asked, ["05020002"])
    })
  )

  it.live("never asks for a name, and connects to its proxies only", () =>
    Effect.gen(function* () {
      // The kernel's work, by Node's own account.
      const requests: Array<string> = []
      const hook = createHook({
        init: (_id, type) => {
          if (/^(GETADDRINFO|GETNAMEINFO|QUERY|TCPCONNECT)/.test(type)) requests.push(type)
        }
      })
      yield* Effect.acquireRelease(
        Effect.sync(() => hook.enable()),
        () => Effect.sync(() => hook.disable())
      )
      const lookup = Multiserver.dial("net:localhost:1").pipe(
        Effect.provide(Multiserver.layer(["net"]).pipe(Layer.provide(Net.layer())))
      )
      yield* Effect.flip(lookup)
      assert.include(requests.splice(0), "GETADDRINFOREQWRAP", "the account has lookups in it")
      const proxy = yield* socksDouble(4)
      for (const options of [{}, { isolate: true }, { anyName: true }]) {
        yield* refused([1, proxy.port, 2], options)
        assert.deepStrictEqual(requests.splice(0), ["TCPCONNECTWRAP", "TCPCONNECTWRAP", "TCPCONNECTWRAP"])
      }
    })
  )

  it.live("says with a type that a proxy's port is none, and that it was not told in time", () =>
    Effect.gen(function* () {
      for (const port of [0, 65_536, 1.5]) {
        const error = yield* refused([port])
        assert.strictEqual(error.reason._tag, "Proxy")
        assert.isFalse(error.isRetryable)
      }
      const proxy = yield* socksDouble("silent")
      const late = yield* refused([proxy.port], { timeout: "50 millis" })
      assert.strictEqual(late.reason._tag, "TimedOut")
      // A timer of more than 24 days fires at once.
      const never = yield* Effect.timeoutOption(refused([proxy.port], { timeout: "30 days" }), "50 millis")
      assert.strictEqual(never._tag, "None")
    })
  )

  it.live("says with a type that a proxy's host is an onion service or none, and asks nobody for it", () =>
    Effect.gen(function* () {
      const lookups: Array<string> = []
      const hook = createHook({ init: (_id, type) => void (/^GETADDRINFO/.test(type) && lookups.push(type)) })
      yield* Effect.acquireRelease(
        Effect.sync(() => hook.enable()),
        () => Effect.sync(() => hook.disable())
      )
      for (const host of [name, "proxy.ONION.", "", "a b"]) {
        const error = yield* refused([1], { proxies: [{ host, port: 9050 }] })
        assert.strictEqual(error.reason._tag, "Proxy")
        assert.isFalse(error.isRetryable)
      }
      assert.deepStrictEqual(lookups, [])
    })
  )

  it.live("isolates each dial by a user of its own, when it is told to", () =>
    Effect.gen(function* () {
      const proxy = yield* socksDouble("echo")
      const layer = multiserver([proxy.port], { isolate: true })
      for (let i = 0; i < 2; i++) yield* Effect.scoped(Multiserver.dial(`onion:${name}:1`)).pipe(Effect.provide(layer))
      const users = proxy.asked.map(({ user }) => user)
      assert.strictEqual(new Set(users).size, 2)
      assert.isTrue(users.every((user) => /^[0-9a-f]{32}$/.test(user)))
    })
  )

  it.live("takes the next proxy when one is absent, and never goes without", () =>
    Effect.gen(function* () {
      const proxy = yield* socksDouble("echo")
      yield* Multiserver.dial(`onion:${name}:1`).pipe(Effect.provide(multiserver([1, proxy.port])))
      const absent = yield* refused([1, 2])
      assert.strictEqual(absent.reason._tag, "Proxy")
      assert.isTrue(absent.isRetryable)
      assert.match(absent.message, /no proxy at 127\.0\.0\.1:1 \(ECONNREFUSED\); no proxy at 127\.0\.0\.1:2/)
    })
  )

  it.live("says with a type that the proxy refuses, can't reach the host, hangs up or is none", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [Behaviour, RegExp, boolean]> = [
        [1, /Failure/, true],
        [2, /NotAllowed/, false],
        [4, /HostUnreachable/, true],
        [5, /ConnectionRefused/, true],
        ["hang-up", /hung up|Socket closed/, true],
        ["garbage", /did not connect/, true]
      ]
      for (const [behaviour, message, retryable] of cases) {
        const proxy = yield* socksDouble(behaviour)
        const error = yield* refused([proxy.port])
        assert.strictEqual(error.reason._tag, "Proxy", String(behaviour))
        assert.match(error.message, message)
        assert.strictEqual(error.isRetryable, retryable, String(behaviour))
        yield* until(() => proxy.sockets.size === 0)
      }
    })
  )

  it.live("gives up at its deadline, and takes its socket with it when interrupted inside the exchange", () =>
    Effect.gen(function* () {
      for (const behaviour of ["silent", "silent-after-greeting"] as const) {
        const proxy = yield* socksDouble(behaviour)
        const late = yield* refused([proxy.port], { timeout: "100 millis" })
        assert.include(["TimedOut", "Proxy"], late.reason._tag)
        yield* until(() => proxy.sockets.size === 0)
        const fiber = yield* Effect.forkChild(refused([proxy.port]))
        yield* until(() => proxy.sockets.size === 1)
        yield* turns
        yield* Fiber.interrupt(fiber)
        yield* until(() => proxy.sockets.size === 0)
      }
    })
  )

  it.live("dials names of onion services only, unless it is told otherwise", () =>
    Effect.gen(function* () {
      const proxy = yield* socksDouble("echo")
      const layer = multiserver([proxy.port])
      for (const host of ["short.onion", `${"1".repeat(56)}.onion`, `${"a".repeat(55)}.onion`]) {
        const error = yield* Effect.flip(Multiserver.dial(`onion:${host}:1`)).pipe(Effect.provide(layer))
        assert.strictEqual(error.reason._tag, "NotDialable", host)
      }
      yield* Multiserver.dial(`onion:www.${name}:1`).pipe(Effect.provide(layer))
      yield* Multiserver.dial("onion:short.onion:1").pipe(Effect.provide(multiserver([proxy.port], { anyName: true })))
      const listen = yield* Effect.flip(Multiserver.listen(`onion:${name}:1`)).pipe(Effect.provide(layer))
      assert.strictEqual(listen.reason._tag, "NotListenable")
    })
  )
})
