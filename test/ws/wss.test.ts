/** `wss`: the same over TLS, which lets nobody in the middle. */
import * as fs from "node:fs"
import * as https from "node:https"
import * as net from "node:net"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { WebSocketServer } from "ws"
import type { Connection } from "../../src/Connection.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import type { SecureOptions } from "../../src/ws/WebSocket.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { echo, pattern, readAll, sameBytes, served } from "../support/servers.ts"
import { httpPort, httpServer, portOf } from "./plain.ts"
import { multiserver } from "./support.ts"

const file = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))
const pem = (name: string) => Redacted.make(fs.readFileSync(file(name), "utf8"))
const credentials = { key: file("server.key"), cert: file("server.crt") }
const ca = file("ca.crt")

/** An echo over what is listened on with the first options and dialed with the others. */
const exchange = (listening: SecureOptions, dialing: SecureOptions, host = "127.0.0.1", stack = "") =>
  Effect.gen(function* () {
    const [address] = yield* served(`wss://${host}:0${stack}`, echo)
    yield* Effect.gen(function* () {
      const connection = yield* Multiserver.dial(String(address))
      yield* Effect.forkChild(Effect.andThen(connection.write(pattern(500_000)), Effect.void))
      let received = Buffer.alloc(0)
      while (received.length < 500_000) received = Buffer.concat([received, ...(yield* connection.pull)])
      yield* connection.end
      assert.isTrue(sameBytes(received, pattern(500_000)))
      assert.strictEqual((yield* readAll(connection)).length, 0)
    }).pipe(Effect.provide(multiserver(dialing)))
  }).pipe(Effect.scoped, Effect.provide(multiserver(listening)))

const dialFailure = (target: string, options: SecureOptions) =>
  Multiserver.dial(target).pipe(
    Effect.scoped,
    Effect.flip,
    Effect.provide(multiserver(options)),
    Effect.map((error) => {
      if (error._tag !== "DialError") return error._tag
      return "code" in error.reason ? `${error.reason._tag}(${error.reason.code})` : error.reason._tag
    })
  )

describe("wss", () => {
  it.live("carries bytes over files, PEM in Redacted, names and IPs", () =>
    Effect.gen(function* () {
      yield* exchange({ credentials }, { ca })
      yield* exchange({ credentials: { key: pem("server.key"), cert: pem("server.crt") } }, { ca: [pem("ca.crt")] })
      yield* exchange({ credentials }, { ca }, "localhost")
      yield* exchange({ credentials }, { ca }, "[::1]", "~shs")
    })
  )

  it.live("dials nobody whose certificate it doesn't trust, or that is another's", () =>
    Effect.gen(function* () {
      const [address] = yield* served("wss://127.0.0.1:0", echo)
      const target = String(address)
      assert.strictEqual(yield* dialFailure(target, {}), "Tls(UNABLE_TO_VERIFY_LEAF_SIGNATURE)")
      const other = target.replace("127.0.0.1", "127.0.0.2")
      const [everywhere] = yield* served("wss://127.0.0.2:0", echo)
      assert.strictEqual(
        yield* dialFailure(other.replace(/\d+$/, String(portOf(everywhere))), { ca }),
        "Tls(ERR_TLS_CERT_ALTNAME_INVALID)"
      )
    }).pipe(Effect.provide(multiserver({ credentials })))
  )

  it.live("says that it is TLS that failed, and that it is not", () =>
    Effect.gen(function* () {
      const plain = httpPort(yield* httpServer(() => {}))
      assert.match(yield* dialFailure(`wss://127.0.0.1:${plain}`, { ca }), /^Tls\(/)
      const nobody = yield* Effect.scoped(
        Effect.map(
          httpServer(() => {}),
          httpPort
        )
      )
      assert.strictEqual(yield* dialFailure(`wss://127.0.0.1:${nobody}`, { ca }), "Refused")
      assert.strictEqual(yield* dialFailure("wss://127.0.0.1:1", { ca: file("absent.crt") }), "Tls(ENOENT)")
      assert.match(yield* dialFailure(`wss://127.0.0.1:${nobody}`, { ca: "/dev/null" }), /^Tls\(/)
      assert.match(yield* dialFailure("wss://127.0.0.1:1", { ca: Redacted.make("no PEM") }), /^(Tls|Refused)/)
    }).pipe(Effect.scoped)
  )

  it.live(
    "is worth another try when the connection broke during the TLS handshake, and not when a certificate is bad",
    () =>
      Effect.gen(function* () {
        const ends: ReadonlyArray<(socket: net.Socket) => void> = [
          (socket) => socket.resetAndDestroy(),
          (socket) => socket.end()
        ]
        for (const end of ends) {
          const server = yield* Effect.acquireRelease(
            Effect.callback<net.Server>((resume) => {
              // Once the client's first message has come.
              const server = net.createServer((socket) => socket.on("error", () => {}).once("data", () => end(socket)))
              server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
            }),
            (server) => Effect.sync(() => server.close())
          )
          const { port } = server.address() as net.AddressInfo
          const error = yield* Effect.flip(Effect.scoped(Multiserver.dial(`wss://127.0.0.1:${port}`))).pipe(
            Effect.provide(multiserver({ ca }))
          )
          if (error._tag !== "DialError" || error.reason._tag !== "Tls") return assert.fail(String(error))
          assert.strictEqual(error.reason.code, "ECONNRESET")
          assert.isTrue(error.isRetryable)
        }
        const [address] = yield* served("wss://127.0.0.1:0", echo).pipe(Effect.provide(multiserver({ credentials })))
        const untrusted = yield* Effect.flip(Effect.scoped(Multiserver.dial(String(address)))).pipe(
          Effect.provide(multiserver({}))
        )
        assert.isTrue(untrusted._tag === "DialError" && untrusted.reason._tag === "Tls" && !untrusted.isRetryable)
      }).pipe(Effect.scoped)
  )

  it.live("shows its certificate to a server that asks for one", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.callback<https.Server>((resume) => {
          const options = {
            key: fs.readFileSync(file("server.key")),
            cert: fs.readFileSync(file("server.crt")),
            ca: fs.readFileSync(ca),
            requestCert: true
          }
          const server = https.createServer(options).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
          const sockets = new WebSocketServer({ server })
          sockets.on("connection", (ws) => ws.close())
        }),
        (server) =>
          Effect.sync(() => {
            server.close()
            server.closeAllConnections()
          })
      )
      const target = `wss://127.0.0.1:${httpPort(server)}`
      assert.match(yield* dialFailure(target, { ca }), /^Tls\(|^Unreachable\(ECONNRESET\)/)
      const clientCredentials = { key: file("client.key"), cert: file("client.crt") }
      const end = Effect.gen(function* () {
        const connection = yield* Multiserver.dial(target)
        return yield* readAll(connection)
      })
      const read = yield* Effect.provide(Effect.scoped(end), multiserver({ ca, clientCredentials }))
      assert.strictEqual(read.length, 0)
    }).pipe(Effect.scoped)
  )

  it.live("listens with nothing that is no key, and says so without showing it", () =>
    Effect.gen(function* () {
      const failure = (options: SecureOptions) =>
        Multiserver.listen("wss://127.0.0.1:0").pipe(
          Effect.scoped,
          Effect.flip,
          Effect.provide(multiserver(options)),
          Effect.map((error) => `${error.message} ${JSON.stringify(error)}`)
        )
      const broken = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----"
      const shown = yield* failure({ credentials: { key: Redacted.make(broken), cert: pem("server.crt") } })
      assert.include(shown, "NotListenable")
      assert.notInclude(shown, "c2VjcmV0")
      assert.include(yield* failure({ credentials: { ...credentials, key: file("absent.key") } }), "ENOENT")
      // The key of another certificate.
      assert.include(yield* failure({ credentials: { ...credentials, key: file("client.key") } }), "NotListenable")
    })
  )

  it.live("shares an https server of somebody's", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.callback<https.Server>((resume) => {
          const options = { key: fs.readFileSync(file("server.key")), cert: fs.readFileSync(file("server.crt")) }
          const server = https.createServer(options).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) =>
          Effect.sync(() => {
            server.close()
            server.closeAllConnections()
          })
      )
      yield* exchange({ server }, { ca })
      assert.isTrue(server.listening)
    }).pipe(Effect.scoped)
  )
})

describe("credentials that can be replaced", () => {
  it.live("are shown to new connections, and leave the open ones alone", () =>
    Effect.gen(function* () {
      const live = yield* WebSocket.makeCredentials(credentials)
      const [address] = yield* served("wss://127.0.0.1:0", echo).pipe(
        Effect.provide(multiserver({ credentials: live }))
      )
      const dialing = (root: string) => Effect.provide(multiserver({ ca: file(root) }))
      const talk = (connection: Connection) =>
        Effect.gen(function* () {
          yield* connection.write(pattern(10))
          assert.strictEqual((yield* connection.pull)[0].length, 10)
        })
      const open = yield* Multiserver.dial(String(address)).pipe(dialing("ca.crt"))
      yield* talk(open)
      yield* live.replace({ key: file("renewed.key"), cert: file("renewed.crt") })
      yield* talk(yield* Multiserver.dial(String(address)).pipe(dialing("renewed.crt")))
      assert.match(yield* dialFailure(String(address), { ca }), /^Tls\(/)
      yield* talk(open)
      // What can't be used changes nothing.
      const error = yield* Effect.flip(live.replace({ key: file("server.key"), cert: file("renewed.crt") }))
      assert.strictEqual(error._tag, "Tls")
      yield* live.reload
      yield* talk(yield* Multiserver.dial(String(address)).pipe(dialing("renewed.crt")))
    }).pipe(Effect.scoped)
  )

  it.live("are shown by a listener that begins while they are replaced", () =>
    Effect.gen(function* () {
      const live = yield* WebSocket.makeCredentials(credentials)
      // Replaced after each number of steps of a listener's beginning.
      for (let steps = 0; steps < 30; steps++) {
        // Files, which a listener may still read while others are at hand.
        yield* live.replace(credentials)
        const listening = yield* Effect.forkChild(
          served("wss://127.0.0.1:0", echo).pipe(Effect.provide(multiserver({ credentials: live }))),
          { startImmediately: true }
        )
        yield* Effect.repeat(Effect.yieldNow, { times: steps })
        yield* live.replace({ key: pem("renewed.key"), cert: pem("renewed.crt") })
        const [address] = yield* Fiber.join(listening)
        const dialed = Effect.provide(Multiserver.dial(String(address)), multiserver({ ca: file("renewed.crt") }))
        assert.strictEqual((yield* Effect.exit(dialed))._tag, "Success", `replaced after ${steps} steps`)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("are others for each that makes them", () =>
    Effect.gen(function* () {
      const make = WebSocket.makeCredentials(credentials)
      assert.notStrictEqual(yield* make, yield* make)
    })
  )

  it.live("fail where they are made, when they can't be used", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(WebSocket.makeCredentials({ ...credentials, key: file("client.key") }))
      assert.strictEqual(error._tag, "Tls")
    })
  )
})
