/**
 * What an HTTP server answers to a dial: whether dialing again can help, what can be done, and nothing that a terminal
 * obeys.
 */
import * as fs from "node:fs"
import type * as http from "node:http"
import * as https from "node:https"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Multiserver from "../../src/Multiserver.ts"
import { manyLines, printable, printableJson } from "../../src/printable.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { httpPort, httpServer, serve } from "./plain.ts"
import { multiserver } from "./support.ts"

const file = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))

/** The reason of a failed dial. */
const reasonOf = (target: string) =>
  Multiserver.dial(target).pipe(
    Effect.scoped,
    Effect.flip,
    Effect.flatMap((error) => (error._tag === "DialError" ? Effect.succeed(error.reason) : Effect.die(error)))
  )

describe("a dial that an HTTP server answers", () => {
  const cases: ReadonlyArray<readonly [number, Record<string, string>, boolean, RegExp]> = [
    [200, {}, false, /answered 200; there is a web server, and no WebSocket at this path/],
    [
      301,
      { Location: "https://h.example/x" },
      false,
      /answered 301; it redirects to https:\/\/h\.example\/x: dial that/
    ],
    [302, {}, false, /answered 302; it redirects, but does not say where to/],
    [400, {}, false, /answered 400/],
    [401, {}, false, /answered 401; it wants credentials/],
    [403, {}, false, /answered 403; it may want credentials, or another origin/],
    [404, {}, false, /answered 404; there is no WebSocket at this path/],
    [408, {}, true, /answered 408/],
    [410, {}, false, /answered 410/],
    [425, {}, true, /answered 425/],
    [426, {}, false, /answered 426/],
    [429, {}, true, /answered 429/],
    [500, {}, true, /answered 500/],
    [503, {}, true, /answered 503/]
  ]
  it.live.each(cases)("%i", ([status, headers, isRetryable, message]) =>
    Effect.gen(function* () {
      const server = yield* httpServer((_, response: http.ServerResponse) => response.writeHead(status, headers).end())
      const reason = yield* reasonOf(`ws://127.0.0.1:${httpPort(server)}`)
      assert.strictEqual(reason._tag === "Unreachable" && reason.code, `HTTP_${status}`)
      assert.strictEqual(reason.isRetryable, isRetryable)
      assert.match(reason.message, message)
    }).pipe(Effect.scoped, Effect.provide(multiserver()))
  )

  it.live("is told in one line that a terminal makes nothing of, however long it is", () =>
    Effect.gen(function* () {
      const server = yield* httpServer((_, response) => {
        // Node's own server lets no control characters out.
        response.socket?.end(
          Buffer.from(
            `HTTP/1.1 301 Moved\r\nLocation: \u0080\u009b31m${"x".repeat(5000)}\r\nContent-Length: 0\r\n\r\n`,
            "latin1"
          )
        )
      })
      const { message } = yield* reasonOf(`ws://127.0.0.1:${httpPort(server)}`)
      assert.notMatch(message, /[\p{C}]/u)
      assert.include(message, "\\u{9b}31m")
      assert.isBelow(message.length, 400)
    }).pipe(Effect.scoped, Effect.provide(multiserver()))
  )
})

describe("what a certificate says", () => {
  it.live("is made safe before it is in an error", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.callback<https.Server>((resume) => {
          const options = { key: fs.readFileSync(file("evil.key")), cert: fs.readFileSync(file("evil.crt")) }
          const server = https.createServer(options).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) =>
          Effect.sync(() => {
            server.close()
            server.closeAllConnections()
          })
      )
      const reason = yield* reasonOf(`wss://localhost:${httpPort(server)}`)
      assert.strictEqual(reason._tag, "Tls")
      assert.include(reason.message, "evil\\u{1b}]0;owned\\u{7}")
      assert.notMatch(reason.message, /[\p{C}]/u)
    }).pipe(Effect.scoped, Effect.provide(multiserver({ ca: file("evil.crt") })))
  )
})

describe("text of others", () => {
  const evil = "a\u001b[31m\u0007\r\nb\u202e\u2028\u009b\ud800c"
  const unsafe = /[\p{C}\p{Zl}\p{Zp}]/u

  it("is printed in one line of a bounded length", () => {
    assert.strictEqual(printable(evil), "a\\u{1b}[31m\\u{7}\\u{d}\\u{a}b\\u{202e}\\u{2028}\\u{9b}\\u{d800}c")
    assert.strictEqual(printable("plain, ünicode 🙂"), "plain, ünicode 🙂")
    assert.strictEqual(printable("🙂".repeat(300), 7), "🙂🙂🙂…")
    assert.strictEqual(printable("abc", 3), "abc")
  })

  it("is safe within several lines of our own, and in JSON that says the same", () => {
    assert.strictEqual(manyLines("one\ntwo\u001b"), "one\ntwo\\u{1b}")
    const json = printableJson({ evil })
    assert.notMatch(json, unsafe)
    assert.deepStrictEqual(JSON.parse(json), { evil })
  })
})

describe("credentials for a web server", () => {
  it.live("are no part of an address, which says so without showing them", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Multiserver.dial("wss://user:pw-secret@h.example/"))
      assert.strictEqual("reason" in error && error.reason._tag, "BadHost")
      assert.include(error.message, "credentials don't belong in an address, give them as request headers")
      assert.notInclude(`${error.message} ${JSON.stringify(error)}`, "pw-secret")
    }).pipe(Effect.scoped, Effect.provide(multiserver()))
  )

  it.live("are headers of a dial's request", () =>
    Effect.gen(function* () {
      const asked: Array<http.IncomingHttpHeaders> = []
      const { address, clients } = yield* serve()
      const server = yield* httpServer(() => {})
      server.on("upgrade", (request: http.IncomingMessage, socket) => {
        asked.push(request.headers)
        socket.destroy()
      })
      yield* reasonOf(`ws://127.0.0.1:${httpPort(server)}`)
      assert.strictEqual(asked[0]?.authorization, "Basic dTpw")
      assert.strictEqual(asked[0]?.["x-client"], "7")
      // They replace none of those that make it a WebSocket.
      yield* Multiserver.dial(address)
      void clients
    }).pipe(
      Effect.scoped,
      Effect.provide(
        multiserver(
          {},
          {},
          { headers: { Authorization: Redacted.make("Basic dTpw"), "X-Client": "7", Upgrade: "h2c" } }
        )
      )
    )
  )

  it("that can't be headers are refused where they are given, without showing them", () => {
    const make = () => WebSocket.layer({ headers: { Authorization: Redacted.make("a\r\nsecret: b") } })
    assert.throws(make, /Invalid character in header content/)
    assert.throws(() => WebSocket.layer({ headers: { "a b": "c" } }), /a b/)
  })
})
