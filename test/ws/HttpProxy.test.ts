/** ws and wss through an HTTP proxy: a real one on loopback, to which every name is this machine. */
import * as http from "node:http"
import * as net from "node:net"
import { fileURLToPath } from "node:url"
import * as util from "node:util"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Policy from "../../src/Policy.ts"
import { Resolver } from "../../src/Resolver.ts"
import * as HttpProxy from "../../src/ws/HttpProxy.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { echo, pattern, readAll, sameBytes, served, until } from "../support/servers.ts"
import { portOf } from "./plain.ts"
import { multiserver } from "./support.ts"

const tls = (name: string): string => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))
const secret = "hunter2:with:colons"

interface Asked {
  readonly authority: string
  readonly authorization: string | undefined
}

/** A proxy, what it was asked, and its sockets. */
const proxying = (onConnect?: (socket: net.Socket, asked: Asked) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly asked: Array<Asked>; readonly sockets: Set<net.Socket>; readonly server: http.Server }>(
      (resume) => {
        const asked: Array<Asked> = []
        const sockets = new Set<net.Socket>()
        const server = http.createServer()
        server.on("connection", (socket) => {
          sockets.add(socket)
          socket.on("error", () => {}).on("close", () => sockets.delete(socket))
        })
        server.on("connect", (request, socket: net.Socket) => {
          const own = { authority: request.url ?? "", authorization: request.headers["proxy-authorization"] }
          asked.push(own)
          // HTTP servers keep a socket whose other end has ended.
          socket.on("end", () => socket.destroy())
          if (onConnect !== undefined) return onConnect(socket.resume(), own)
          const there = net.connect(Number(/:(\d+)$/.exec(own.authority)?.[1]), "127.0.0.1", () => {
            socket.write("HTTP/1.1 200 Connection established\r\nVia: somebody\r\n\r\n")
            there.pipe(socket).pipe(there)
          })
          there.on("error", () => socket.destroy()).on("close", () => socket.destroy())
          socket.on("close", () => there.destroy())
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ asked, sockets, server })))
      }
    ),
    ({ server, sockets }) =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      })
  ).pipe(Effect.map((all) => ({ ...all, port: (all.server.address() as net.AddressInfo).port })))

const through = (port: number, credentials?: string): HttpProxy.Proxies => {
  const proxy = {
    host: "127.0.0.1",
    port,
    ...(credentials !== undefined && { credentials: Redacted.make(credentials) })
  }
  return { ws: proxy, wss: proxy }
}

/** A Multiserver that dials through it. */
const dialing = (proxies: HttpProxy.Proxies, options: WebSocket.SecureOptions = {}) =>
  multiserver({ ...options, proxies }, {}, { proxies })

/** What a dial of a name fails with, through a proxy that does this to whom it has heard. */
const refused = (onConnect: (socket: net.Socket, asked: Asked) => void, target = "ws://pub.example:8989") =>
  Effect.gen(function* () {
    const { port, sockets } = yield* proxying(onConnect)
    const error = yield* Effect.flip(Effect.scoped(Multiserver.dial(target))).pipe(
      Effect.provide(dialing(through(port, secret)))
    )
    yield* until(() => sockets.size === 0)
    assert.notInclude(util.inspect(error, { depth: 20, showHidden: true }), "hunter2")
    if (error._tag !== "DialError") return assert.fail(String(error))
    return error
  }).pipe(Effect.scoped)

describe("through an HTTP proxy", () => {
  it.live("ws and wss reach a name that only the proxy knows, and the proxy learns no more than that", () =>
    Effect.gen(function* () {
      const { asked, port } = yield* proxying()
      for (const [scheme, stack] of [
        ["ws", ""],
        ["ws", "~shs"],
        ["wss", "~shs"],
        ["wss", ""]
      ]) {
        const [address] = yield* served(`${scheme}://127.0.0.1:0${stack}`, echo)
        const there = `pub.example:${portOf(address)}`
        yield* Effect.gen(function* () {
          const connection = yield* Multiserver.dial(String(address).replace(/127\.0\.0\.1:\d+/, there))
          yield* Effect.andThen(connection.write(pattern(200_000)), Effect.void)
          let received = Buffer.alloc(0)
          while (received.length < 200_000) received = Buffer.concat([received, ...(yield* connection.pull)])
          yield* connection.end
          assert.isTrue(sameBytes(received, pattern(200_000)))
          assert.strictEqual((yield* readAll(connection)).length, 0)
          // It is the host's address, not the proxy's.
          assert.include(String(connection.remote), `${scheme}://${there}`)
        }).pipe(Effect.scoped, Effect.provide(dialing(through(port), { ca: tls("pub.crt") })))
        assert.deepStrictEqual(asked.splice(0), [{ authority: there, authorization: undefined }])
      }
    }).pipe(
      Effect.provide(
        multiserver({ credentials: { key: tls("pub.key"), cert: tls("pub.crt") }, hosts: "any" }, {}, { hosts: "any" })
      )
    )
  )

  it.live("a certificate is compared with the host, and not with the proxy", () =>
    Effect.gen(function* () {
      const { port } = yield* proxying()
      const [address] = yield* served("wss://127.0.0.1:0", echo)
      const error = yield* Effect.flip(Effect.scoped(Multiserver.dial(`wss://pub.example:${portOf(address)}`))).pipe(
        Effect.provide(dialing(through(port), { ca: tls("ca.crt") }))
      )
      assert.isTrue(error._tag === "DialError" && error.reason._tag === "Tls")
      assert.include(error.message, "ERR_TLS_CERT_ALTNAME_INVALID")
    }).pipe(Effect.provide(multiserver({ credentials: { key: tls("server.key"), cert: tls("server.crt") } })))
  )

  it.live("the user and the password are for the proxy alone", () =>
    Effect.gen(function* () {
      const { asked, port } = yield* proxying()
      const [address] = yield* served("ws://127.0.0.1:0", echo)
      yield* Effect.scoped(Multiserver.dial(`ws://pub.example:${portOf(address)}`)).pipe(
        Effect.provide(dialing(through(port, secret)))
      )
      assert.strictEqual(asked[0]?.authorization, `Basic ${Buffer.from(secret).toString("base64")}`)
      const [given] = Object.values(through(port, secret))
      assert.notInclude(util.inspect(given, { depth: 20, showHidden: true }), "hunter2")
    }).pipe(Effect.provide(multiserver({}, {}, { hosts: "any" })))
  )

  it.live("what it answers is a typed reason of one line, which says whether a retry can help", () =>
    Effect.gen(function* () {
      const bell = "\u001b]0;you\u0007"
      const cases: ReadonlyArray<readonly [answer: string, says: RegExp, retryable: boolean]> = [
        [`HTTP/1.1 407 ${bell}\r\nProxy-Authenticate: Basic\r\n\r\n`, /407, it rejects this user and password/, false],
        [`HTTP/1.1 403 Forbidden\r\n\r\n<b>${bell}</b>`, /403, Forbidden/, false],
        ["HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n", /302, Found/, false],
        ["HTTP/1.1 502 Bad Gateway\r\n\r\n", /502, Bad Gateway/, true],
        ["HTTP/1.1 429 no\r\n\r\n", /429, Too Many Requests/, true],
        ["HTTP/1.1 999 x\r\n\r\n", /999, an unknown status/, true],
        ["SSH-2.0-OpenSSH_9\r\n", /not HTTP, or longer than 8192 bytes \(HPE_/, false],
        [`HTTP/1.1 200 OK\r\nX: ${"x".repeat(100_000)}`, /not HTTP, or longer than 8192 bytes \(HPE_/, false],
        ["", /it hung up \(ECONNRESET\)/, true]
      ]
      for (const [answer, says, retryable] of cases) {
        const error = yield* refused((socket) => socket.end(answer))
        assert.strictEqual(error.reason._tag, "Proxy", answer)
        assert.match(error.message, says)
        assert.match(error.message, /^dial ws:\/\/pub\.example:8989: proxy: [\x20-\x7e]+$/)
        assert.strictEqual(error.isRetryable, retryable, answer)
      }
    })
  )

  it.live("one that is silent, or says a byte now and then, has as long as the dial may take to connect", () =>
    Effect.gen(function* () {
      const dripping = (socket: net.Socket) => {
        socket.write("HTTP/1.1 200 OK\r\nX: ")
        const timer = setInterval(() => socket.write("x"), 20)
        socket.on("close", () => clearInterval(timer))
      }
      for (const onConnect of [() => {}, dripping]) {
        const { port, sockets } = yield* proxying(onConnect)
        const error = yield* Effect.flip(
          Effect.scoped(Multiserver.dial("ws://pub.example:8989", { timeouts: { connect: "300 millis" } }))
        ).pipe(Effect.provide(dialing(through(port))))
        assert.strictEqual(error.reason._tag, "TimedOut")
        yield* until(() => sockets.size === 0)
      }
    })
  )

  it.live("its socket goes with a dial that is interrupted", () =>
    Effect.gen(function* () {
      const { asked, port, sockets } = yield* proxying(() => {})
      const fiber = yield* Effect.forkChild(
        Effect.scoped(Multiserver.dial("wss://pub.example:1")).pipe(Effect.provide(dialing(through(port))))
      )
      yield* until(() => asked.length === 1)
      yield* Fiber.interrupt(fiber)
      yield* until(() => sockets.size === 0)
    })
  )

  it.live("nothing goes around one that is absent, and this machine is never asked of it", () =>
    Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", echo)
      const layer = dialing(through(1))
      const error = yield* Effect.flip(Effect.scoped(Multiserver.dial("ws://192.0.2.1:1"))).pipe(Effect.provide(layer))
      assert.strictEqual(error.reason._tag, "Proxy")
      assert.match(error.message, /no HTTP proxy at 127\.0\.0\.1:1: connection refused/)
      assert.isTrue(error._tag === "DialError" && error.isRetryable)
      yield* Effect.scoped(Multiserver.dial(String(address))).pipe(Effect.provide(layer))
      yield* Effect.scoped(Multiserver.dial(String(address).replace("127.0.0.1", "localhost"))).pipe(
        Effect.provide(layer)
      )
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("policy is asked for an IP, and for a name whose IP nobody knows here", () =>
    Effect.gen(function* () {
      const { asked, port } = yield* proxying((socket) => socket.end("HTTP/1.1 502 no\r\n\r\n"))
      const outcome = (dial: NonNullable<Policy.Options["dial"]>, target: string) =>
        Effect.flip(Effect.scoped(Multiserver.dial(target))).pipe(
          Effect.provide(dialing(through(port)).pipe(Layer.provide(Policy.layer({ dial })))),
          Effect.map((error) => error.reason._tag)
        )
      assert.strictEqual(yield* outcome({ deny: ["192.0.2.0/24"] }, "ws://192.0.2.1"), "DeniedByPolicy")
      assert.strictEqual(yield* outcome({ denyPrivate: true }, "ws://10.0.0.1"), "DeniedByPolicy")
      assert.strictEqual(yield* outcome({ denyPrivate: true }, "ws://pub.example"), "DeniedByPolicy")
      assert.strictEqual(yield* outcome({ allow: ["198.51.100.0/24"] }, "ws://pub.example"), "DeniedByPolicy")
      const everything = ["0.0.0.0/0", "::/0"]
      for (const target of ["ws://pub.example", "ws://192.0.2.1"]) {
        assert.strictEqual(yield* outcome({ deny: everything }, target), "DeniedByPolicy", target)
      }
      assert.strictEqual(yield* outcome({ allow: everything }, "ws://pub.example"), "DeniedByPolicy")
      assert.lengthOf(asked, 0)
      assert.strictEqual(yield* outcome({ deny: ["192.0.2.0/24"] }, "ws://198.51.100.1"), "Proxy")
      assert.strictEqual(yield* outcome({ deny: ["192.0.2.0/24"] }, "ws://pub.example"), "Proxy")
      assert.strictEqual(yield* outcome({ allow: ["192.0.2.0/24"] }, "ws://192.0.2.1"), "Proxy")
      assert.lengthOf(asked, 3)
    })
  )
})

describe("a proxy", () => {
  it.live("that is an onion service is asked of nobody", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const resolve = (host: string) => {
        asked.push(host)
        return [Effect.succeed(["127.0.0.1"])] as const
      }
      const proxies = { ws: { host: "abcdefghijklmnop.onion", port: 3128 } }
      const error = yield* Multiserver.dial("ws://pub.example").pipe(
        Effect.scoped,
        Effect.flip,
        Effect.provide(
          Multiserver.layer(["ws"]).pipe(
            Layer.provide([WebSocket.layer({ proxies }), Layer.succeed(Resolver, resolve)])
          )
        )
      )
      assert.strictEqual(error._tag === "DialError" && error.reason._tag, "Proxy")
      assert.isFalse(error._tag === "DialError" && error.isRetryable)
      assert.deepStrictEqual(asked, [])
    })
  )

  it("is read from its URL, and what is none is said without repeating it", () => {
    const read = (text: string) => {
      const { credentials, host, port } = Result.getOrThrow(HttpProxy.parse(text))
      return [host, port, credentials && Redacted.value(credentials)]
    }
    assert.deepStrictEqual(read("http://proxy.example:3128"), ["proxy.example", 3128, undefined])
    assert.deepStrictEqual(read(" proxy.example:3128/ "), ["proxy.example", 3128, undefined])
    assert.deepStrictEqual(read("HTTP://[2001:db8::1]"), ["2001:db8::1", 80, undefined])
    assert.deepStrictEqual(read("http://me:p%40ss%3a@proxy.example"), ["proxy.example", 80, "me:p@ss:"])
    for (const text of [
      "",
      "https://me:hunter2@proxy.example",
      "socks5://hunter2",
      "http://hunter2@proxy.example/path",
      "http://me:hunter2%@proxy.example",
      "http://hunter2@proxy.example:0",
      "http://hunter2@proxy.example:99999",
      "http://hunter2@abcdefghijklmnop.onion:3128",
      "http://hunter2@proxy.ONION.:3128",
      "http://"
    ]) {
      const failure = Result.match(HttpProxy.parse(text), { onSuccess: () => undefined, onFailure: (error) => error })
      assert.strictEqual(failure?._tag, "BadProxy", text)
      assert.notInclude(util.inspect(failure, { depth: 20 }), "hunter2")
    }
  })

  it("is for all hosts but those of NO_PROXY and this machine", () => {
    const except = Result.getOrThrow(
      HttpProxy.parseExceptions(".internal, example.org other.example:8080,10.0.0.0/8 , 2001:db8::/32 192.0.2.7")
    )
    const proxies = { ...through(1), except }
    const direct = (host: string, port = 443) => HttpProxy.proxyFor(proxies, true, { host, port }) === undefined
    for (const host of [
      "a.internal",
      "internal",
      "example.org",
      "www.Example.org",
      "10.9.8.7",
      "192.0.2.7",
      "2001:db8::5"
    ]) {
      assert.isTrue(direct(host), host)
    }
    for (const host of ["localhost", "app.localhost", "127.0.0.1", "127.9.9.9", "::1"])
      assert.isTrue(direct(host), host)
    for (const host of [
      "notexample.org",
      "example.org.evil.example",
      "11.0.0.1",
      "192.0.2.70",
      "2001:db9::1",
      "internal2"
    ]) {
      assert.isFalse(direct(host), host)
    }
    assert.isTrue(direct("other.example", 8080))
    assert.isFalse(direct("other.example", 443))
    const all = { ...through(1), except: Result.getOrThrow(HttpProxy.parseExceptions("a.example,*")) }
    assert.isUndefined(HttpProxy.proxyFor(all, true, { host: "pub.example", port: 1 }))
    assert.isUndefined(HttpProxy.proxyFor({ wss: through(1).wss }, false, { host: "pub.example", port: 1 }))
  })

  it.each<readonly [entry: string, direct: ReadonlyArray<string>, proxied: ReadonlyArray<string>]>([
    ["10.1.2.3/8", ["10.9.9.9:443"], ["11.0.0.1:443"]],
    ["2001:db8::1/32", ["2001:db8:7::1:443"], ["2001:db9::1:443"]],
    ["*.corp.example", ["db.corp.example:443", "corp.example:443"], ["notcorp.example:443"]],
    ["[2001:db8::1]", ["2001:db8::1:1"], ["2001:db8::2:1"]],
    ["[2001:DB8:0::1]:443", ["2001:db8::1:443", "2001:0db8::1:443"], ["2001:db8::1:444"]],
    ["192.0.2.7:443", ["192.0.2.7:443", "::ffff:192.0.2.7:443"], ["192.0.2.7:444"]],
    ["MÜNCHEN.example", ["xn--mnchen-3ya.example:1", "a.münchen.example:1"], ["munchen.example:1"]],
    ["pub.example.", ["pub.example:1", "pub.example.:1"], ["pub.example.org:1"]],
    [".onion", ["abc.onion:1"], ["onion.example:1"]]
  ])("of NO_PROXY=%s is not for these hosts", (entry, direct, proxied) => {
    const proxies = { ...through(1), except: Result.getOrThrow(HttpProxy.parseExceptions(`first.example,${entry}`)) }
    const isDirect = (authority: string) => {
      const colon = authority.lastIndexOf(":")
      const to = { host: authority.slice(0, colon), port: Number(authority.slice(colon + 1)) }
      return HttpProxy.proxyFor(proxies, true, to) === undefined
    }
    for (const each of direct) assert.isTrue(isDirect(each), each)
    for (const each of proxied) assert.isFalse(isDirect(each), each)
  })

  it.effect.each([
    "192.168.0.0/33",
    "10.0.0.0/",
    "example.org/8",
    "http://example.org",
    "10.*",
    "*example.org",
    "*.",
    ".",
    "[example.org]",
    "[2001:db8::1",
    "2001:db8::g",
    "example.org:0",
    "example.org:65536",
    "example.org:http",
    "<local>"
  ])("of NO_PROXY is an error that names it, where an entry is no host: %s", (entry) =>
    Effect.gen(function* () {
      const env = { HTTP_PROXY: "http://a:1", NO_PROXY: `example.org, ${entry}` }
      const error = yield* Effect.flip(HttpProxy.config).pipe(
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
      )
      assert.strictEqual(error._tag, "ConfigError")
      assert.include(error.message, `NO_PROXY: ${JSON.stringify(entry)} is not a host`)
    })
  )

  it.effect("is read from the variables that most programs read, by their names in lower case first", () =>
    Effect.gen(function* () {
      const read = (env: Record<string, string>) =>
        HttpProxy.config.pipe(
          Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env })),
          Effect.map(({ except, ws, wss }) => [ws?.host, wss?.host, except?.names[0]?.name])
        )
      assert.deepStrictEqual(yield* read({}), [undefined, undefined, undefined])
      assert.deepStrictEqual(
        yield* read({ HTTP_PROXY: "http://a:1", HTTPS_PROXY: "http://b:1", NO_PROXY: "c.example" }),
        ["a", "b", "c.example"]
      )
      assert.deepStrictEqual(
        yield* read({ https_proxy: "http://small:1", HTTPS_PROXY: "http://large:1", HTTP_PROXY: "" }),
        [undefined, "small", undefined]
      )
      const error = yield* Effect.flip(read({ HTTPS_PROXY: "socks5://me:hunter2@proxy.example" }))
      assert.include(error.message, "HTTPS_PROXY")
      assert.notInclude(util.inspect(error, { depth: 20 }), "hunter2")
    })
  )
})
