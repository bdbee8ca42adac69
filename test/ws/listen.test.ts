/** Ports, paths and plain HTTP: what a ws listener does beside its connections. */
import * as http from "node:http"
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { format } from "../../src/Address.ts"
import type { ListenError } from "../../src/ListenError.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { echo, pattern, served, turns, until } from "../support/servers.ts"
import { connect, httpPort, httpServer, portOf, status } from "./plain.ts"
import { multiserver } from "./support.ts"

const reasonOf = <A, R>(listen: Effect.Effect<A, ListenError | { readonly _tag: "AddressError" }, R>) =>
  Effect.map(Effect.flip(listen), (error) => {
    if (error._tag !== "ListenError") return error._tag
    return "detail" in error.reason ? `${error.reason._tag}: ${error.reason.detail}` : error.reason._tag
  })

/** What comes back over a WebSocket to there. */
const echoes = (url: string) =>
  Effect.gen(function* () {
    const { ws } = yield* connect(url)
    const answer = new Promise((resolve) => ws.once("message", resolve))
    ws.send(pattern(10))
    yield* Effect.promise(() => answer)
  })

describe("a ws listener with a port of its own", () => {
  it.live("gives the port that the system picked, its path, and the IP and port of who comes", () =>
    Effect.gen(function* () {
      const remotes: Array<string> = []
      const [address] = yield* served("ws://127.0.0.1:0/a/path?q=1", (connection) =>
        Effect.andThen(
          Effect.sync(() => remotes.push(format(connection.remote))),
          echo(connection)
        )
      )
      assert.match(String(address), /^ws:\/\/127\.0\.0\.1:\d+\/a\/path\?q=1$/)
      const connection = yield* Multiserver.dial(String(address))
      yield* connection.write(pattern(1))
      yield* connection.pull
      assert.match(remotes[0] ?? "", /^ws:\/\/127\.0\.0\.1:\d+$/)
      assert.notStrictEqual(remotes[0], `ws://127.0.0.1:${portOf(address)}`)
      assert.strictEqual(format(connection.remote), String(address))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("answers 500 when its handler throws, and goes on", () => {
    const handler: http.RequestListener = ({ url = "" }, response) => {
      response.setHeader("Content-Length", 5)
      response.end(decodeURIComponent(url))
    }
    return Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", echo)
      const port = portOf(address)
      const page = (path: string) => status(port, { upgrade: false, path })
      assert.strictEqual(yield* page("/%"), 500)
      assert.strictEqual(yield* page("/page"), 200)
      yield* echoes(`ws://127.0.0.1:${port}`)
    }).pipe(Effect.provide(multiserver({}, {}, { handler })))
  })

  it.live("cuts off what its handler had begun to say when that throws", () => {
    const handler: http.RequestListener = (_, response) => {
      response.writeHead(200, { "Content-Length": 1000 }).flushHeaders()
      throw new Error("half way")
    }
    return Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", echo)
      const socket = net.connect(portOf(address), "127.0.0.1")
      socket
        .on("error", () => {})
        .resume()
        .write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
      yield* until(() => socket.closed)
    }).pipe(Effect.provide(multiserver({}, {}, { handler })))
  })

  it.live("never advertises a wildcard", () =>
    Effect.gen(function* () {
      const listener = yield* Multiserver.listen("ws://0.0.0.0:0/p~shs")
      const [address] = listener.addresses()
      assert.match(String(address), /^ws:\/\/localhost:\d+\/p~shs:/)
      for (const scope of ["local", "public"] as const) {
        for (const each of listener.addresses(scope)) assert.notMatch(String(each), /0\.0\.0\.0|localhost/)
      }
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("answers plain HTTP with 426, and an unknown path with 404", () =>
    Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0/here", echo)
      const port = portOf(address)
      assert.strictEqual(yield* status(port, { upgrade: false }), 426)
      assert.strictEqual(yield* status(port, { path: "/elsewhere" }), 404)
      assert.strictEqual(yield* status(port, { path: "/here/" }), 404)
      assert.strictEqual(yield* status(port, { path: "/here?query" }), 101)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("serves a page from the same port", () =>
    Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", echo)
      const url = `http://127.0.0.1:${portOf(address)}/page`
      const page = yield* Effect.promise(() => fetch(url).then((response) => response.text()))
      assert.strictEqual(page, "a page at /page")
      yield* echoes(`ws://127.0.0.1:${portOf(address)}`)
    }).pipe(
      Effect.provide(
        multiserver({}, {}, { handler: (request, response) => void response.end(`a page at ${request.url}`) })
      )
    )
  )

  it.live("fails with AddressInUse when the port is taken, and frees what it had bound", () =>
    Effect.gen(function* () {
      const taken = httpPort(yield* httpServer(() => {}))
      const free = yield* Effect.scoped(
        Effect.map(
          httpServer(() => {}),
          httpPort
        )
      )
      const both = Multiserver.listen([`ws://127.0.0.1:${free}`, `ws://127.0.0.1:${taken}`])
      const error = yield* Effect.flip(both)
      assert.strictEqual(error._tag === "ListenError" && error.reason._tag, "AddressInUse")
      assert.include(error.message, `:${taken}`)
      yield* served(`ws://127.0.0.1:${free}`, echo)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("says why it can't be bound otherwise", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* reasonOf(Multiserver.listen("ws://192.0.2.1:0")), "AddressNotAvailable")
      assert.strictEqual(
        yield* reasonOf(Multiserver.listen("wss://127.0.0.1:0")),
        "NotListenable: wss needs a key and a certificate, or a server that has them"
      )
    }).pipe(Effect.scoped, Effect.provide(multiserver()))
  )

  it.live("gives a client little time for the head of its request, and none of it to anybody else", () =>
    Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", echo)
      const ended = (said: string) =>
        Effect.callback<void>((resume) => {
          const socket = net.connect(portOf(address), "127.0.0.1", () => socket.write(said))
          socket.on("error", () => {}).on("close", () => resume(Effect.void))
          socket.resume()
          return Effect.sync(() => socket.destroy())
        })
      const all = ["", "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: web"].map(ended)
      yield* Effect.timeout(Effect.all(all, { concurrency: 2 }), "1 minute")
    }).pipe(Effect.provide(multiserver({}, {}, { upgradeTimeout: "200 millis" })))
  )

  it.live("survives what is no WebSocket request at all", () =>
    Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", echo)
      const port = portOf(address)
      const odd: ReadonlyArray<Record<string, string>> = [
        { "Sec-WebSocket-Key": "short" },
        { "Sec-WebSocket-Version": "99" },
        { Upgrade: "h2c" },
        { "Sec-WebSocket-Protocol": ",,," }
      ]
      for (const headers of odd) assert.strictEqual(yield* status(port, { headers }), 400)
      yield* Effect.callback<void>((resume) => {
        const head =
          "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        const socket = net.connect(port, "127.0.0.1", () => {
          socket.write(`${head}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`)
          socket.resetAndDestroy()
        })
        socket.on("close", () => resume(Effect.void)).on("error", () => {})
      })
      yield* echoes(`ws://127.0.0.1:${port}`)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("stops with its scope, also for who has asked and not been answered", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const [address] = yield* served("ws://127.0.0.1:0", echo).pipe(Scope.provide(scope))
      const idle = net.connect(portOf(address), "127.0.0.1", () => idle.write("GET / HTTP/1.1\r\n"))
      const gone = new Promise((resolve) => idle.on("error", () => {}).on("close", resolve))
      yield* turns
      yield* Scope.close(scope, Exit.void)
      yield* Effect.promise(() => gone)
      const error = yield* Effect.flip(status(portOf(address)))
      assert.include(error.message, "ECONNREFUSED")
    }).pipe(Effect.provide(multiserver()))
  )
})

describe("a ws listener on somebody's server", () => {
  const onServer = (
    use: (server: http.Server) => Effect.Effect<void, unknown, Multiserver.Multiserver | Scope.Scope>,
    host?: string
  ) =>
    Effect.gen(function* () {
      const server = yield* httpServer((_, response) => void response.end("theirs"), host)
      yield* Effect.provide(Effect.scoped(use(server)), multiserver({}, {}, { server }))
      // It goes on when we are gone.
      const port = httpPort(server)
      assert.strictEqual(yield* status(port, { upgrade: false }), 200)
      assert.strictEqual(server.listenerCount("upgrade"), 0)
    }).pipe(Effect.scoped)

  it.live("has paths beside each other, and leaves everything else alone", () =>
    onServer((server) =>
      Effect.gen(function* () {
        const tag = (text: string) => (connection: Parameters<typeof echo>[0]) =>
          Effect.andThen(connection.write(Buffer.from(text)), connection.pull)
        const [a] = yield* served("ws://127.0.0.1:0/a", tag("a"))
        yield* served("ws://127.0.0.1:0/b~shs", tag("b"))
        const port = httpPort(server)
        assert.strictEqual(String(a), `ws://127.0.0.1:${port}/a`)
        assert.strictEqual(yield* status(port, { upgrade: false }), 200)
        assert.strictEqual(yield* status(port, { path: "/c" }), 404)
        assert.strictEqual(yield* status(port, { path: "/b" }), 101)
        const connection = yield* Multiserver.dial(String(a))
        assert.strictEqual(Buffer.from((yield* connection.pull)[0]).toString(), "a")
        assert.strictEqual(yield* reasonOf(Multiserver.listen("ws://127.0.0.1:0/b~noauth")), "AddressInUse")
      })
    )
  )

  it.live("leaves to others the paths that are theirs", () =>
    onServer((server) =>
      Effect.gen(function* () {
        yield* served("ws://127.0.0.1:0/ours", echo)
        const theirs = (request: http.IncomingMessage, socket: NodeJS.WritableStream) => {
          if (request.url === "/theirs") socket.end("HTTP/1.1 418 Theirs\r\nContent-Length: 0\r\n\r\n")
        }
        server.on("upgrade", theirs)
        assert.strictEqual(yield* status(httpPort(server), { path: "/theirs" }), 418)
        assert.strictEqual(yield* status(httpPort(server), { path: "/ours" }), 101)
        server.off("upgrade", theirs)
      })
    )
  )

  it.live("shares its requests with other listeners, unless it is exclusive", () =>
    Effect.gen(function* () {
      const server = yield* httpServer((_, response) => void response.end("theirs"))
      const port = httpPort(server)
      const seen: Array<string> = []
      // As Effect's HTTP server does, it answers all.
      server.on("upgrade", ({ url = "" }, socket) => {
        seen.push(url)
        socket.write("HTTP/1.1 418 Theirs\r\nContent-Length: 0\r\n\r\n")
      })
      const own = Object.getOwnPropertyNames(server)
      const asked = (exclusive: boolean) =>
        Effect.gen(function* () {
          yield* served("ws://127.0.0.1:0/ours", echo)
          const ours = yield* status(port, { path: "/ours" })
          return [ours, yield* status(port, { path: "/theirs" })]
        }).pipe(Effect.scoped, Effect.provide(multiserver({}, {}, { server, exclusive })))
      assert.deepStrictEqual(yield* asked(true), [101, 418])
      assert.deepStrictEqual(seen, ["/theirs"])
      assert.deepStrictEqual(yield* asked(false), [418, 418])
      assert.deepStrictEqual(seen, ["/theirs", "/ours", "/theirs"])
      assert.deepStrictEqual(Object.getOwnPropertyNames(server), own)
    }).pipe(Effect.scoped)
  )

  it.live("is what its address says, or isn't", () =>
    onServer(
      (server) =>
        Effect.gen(function* () {
          const port = httpPort(server)
          const refused = (target: string) => reasonOf(Multiserver.listen(target))
          assert.include(
            yield* refused(`ws://0.0.0.0:${port === 10_000 ? 1 : 10_000}`),
            "NotListenable: the `server` to share"
          )
          // Bound to everything, it would let everybody in who comes without a key.
          assert.include(yield* refused("ws://127.0.0.1:0~noauth"), "which reaches further than 127.0.0.1")
          assert.include(yield* refused("wss://0.0.0.0:0"), "NotListenable")
          yield* Multiserver.listen("ws://0.0.0.0:0~shs")
        }),
      "0.0.0.0"
    )
  )

  it.live("is not there while the server doesn't listen", () =>
    Effect.gen(function* () {
      const server = http.createServer()
      const listen = Multiserver.listen("ws://127.0.0.1:0").pipe(Effect.provide(multiserver({}, {}, { server })))
      assert.include(yield* reasonOf(listen), "not listening")
    }).pipe(Effect.scoped)
  )
})

describe("a ws dial", () => {
  const reason = (target: string) =>
    Effect.map(Effect.flip(Effect.scoped(Multiserver.dial(target))), (error) => {
      if (error._tag !== "DialError") return error._tag
      return "code" in error.reason ? `${error.reason._tag}(${error.reason.code})` : error.reason._tag
    })

  it.live("says why it failed", () =>
    Effect.gen(function* () {
      const page = yield* httpServer((request, response) => {
        response.statusCode = request.url === "/200" ? 200 : 404
        response.end()
      })
      page.on("upgrade", (request, socket) => {
        if (request.url === "/hangup") socket.destroy()
        else
          socket.end(
            "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n"
          )
      })
      const nobody = yield* Effect.scoped(
        Effect.map(
          httpServer(() => {}),
          httpPort
        )
      )
      assert.strictEqual(yield* reason(`ws://127.0.0.1:${nobody}`), "Refused")
      assert.strictEqual(yield* reason(`ws://localhost:${nobody}`), "Refused")
      assert.strictEqual(yield* reason(`ws://127.0.0.1:${httpPort(page)}/hangup`), "Unreachable(ECONNRESET)")
      assert.strictEqual(yield* reason(`ws://127.0.0.1:${httpPort(page)}/odd`), "Unreachable(WS_HANDSHAKE)")
      page.removeAllListeners("upgrade")
      assert.strictEqual(yield* reason(`ws://127.0.0.1:${httpPort(page)}/200`), "Unreachable(HTTP_200)")
      assert.strictEqual(yield* reason(`ws://127.0.0.1:${httpPort(page)}/404`), "Unreachable(HTTP_404)")
      assert.strictEqual(yield* reason("ws://127.0.0.1:0"), "NotDialable")
    }).pipe(Effect.scoped, Effect.provide(multiserver()))
  )

  it.live("gives a silent server the time of its `upgradeTimeout`", () =>
    Effect.gen(function* () {
      const silent = yield* httpServer(() => {})
      silent.on("upgrade", () => {})
      assert.strictEqual(yield* reason(`ws://127.0.0.1:${httpPort(silent)}`), "Unreachable(WS_HANDSHAKE)")
    }).pipe(Effect.scoped, Effect.provide(multiserver({}, {}, { upgradeTimeout: "100 millis" })))
  )

  it.live("takes its socket with it when it is interrupted", () =>
    Effect.gen(function* () {
      const silent = yield* httpServer(() => {})
      let asked = false
      const ended = new Promise<void>((resolve) => {
        silent.on("upgrade", (_, socket) => {
          asked = true
          socket.on("end", () => socket.end(resolve)).resume()
        })
      })
      const fiber = yield* Effect.forkChild(Effect.scoped(Multiserver.dial(`ws://127.0.0.1:${httpPort(silent)}`)))
      yield* until(() => asked)
      yield* Fiber.interrupt(fiber)
      yield* Effect.promise(() => ended)
    }).pipe(Effect.scoped, Effect.provide(multiserver()))
  )
})
