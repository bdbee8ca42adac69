/** docs/serving-pages.md: page and peer on one port. */
import * as fs from "node:fs"
import * as http from "node:http"
import * as net from "node:net"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Identity from "../../src/Identity.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { folder } from "../cli/support.ts"
import { hasPlatform } from "../support/nodes.ts"
import { echo, pattern, readAll, sameBytes, served } from "../support/servers.ts"
import { httpPort, httpServer, status } from "../ws/plain.ts"
import { multiserver } from "../ws/support.ts"

type Pages = typeof import("../../examples/serving-pages.ts")

// The Effect that serves is of `@effect/platform-node`.
const pages = hasPlatform ? await import("../../examples/serving-pages.ts") : undefined
if (pages === undefined) console.log("NOT TESTED: serving pages, because @effect/platform-node needs a later Node")

/** A port that was free a moment ago. */
const freePort = Effect.callback<number>((resume) => {
  const server = net.createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = address !== null && typeof address === "object" ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

const get = (port: number, path: string) =>
  Effect.callback<{ readonly status: number; readonly policy: string | undefined; readonly text: string }>((resume) => {
    http
      .get({ agent: false, host: "127.0.0.1", port, path }, (response) => {
        let text = ""
        response.on("data", (chunk) => {
          text += chunk
        })
        response.on("end", () => {
          const policy = response.headers["content-security-policy"]?.toString()
          resume(Effect.succeed({ status: response.statusCode ?? 0, policy, text }))
        })
      })
      .on("error", (error) => resume(Effect.die(error)))
  })

const identity = Identity.layerEphemeral.pipe(Layer.provide(Sodium.layer))

/** Serves with a new identity as long as the scope, and gives its key. */
const launched = <E>(layer: Layer.Layer<never, E, Identity.Identity>) =>
  Effect.gen(function* () {
    const own = yield* Layer.build(Layer.fresh(identity))
    yield* Layer.build(Layer.provide(layer, Layer.succeedContext(own)))
    return Identity.formatPublicKey((yield* Effect.provideContext(Identity.Identity, own)).publicKey)
  })

/** A megabyte there and back, by a client of its own. */
const echoes = (port: number, key: string) =>
  Effect.gen(function* () {
    const connection = yield* Multiserver.dial(`ws://127.0.0.1:${port}/peer~shs:${key}`)
    const bytes = pattern(1 << 20)
    yield* Effect.forkChild(Effect.andThen(connection.write(bytes), connection.end))
    assert.isTrue(sameBytes(yield* readAll(connection), bytes))
  }).pipe(Effect.scoped, Effect.provide(multiserver()))

const contents = new Map([
  ["/", { type: "text/html", text: "<!doctype html><script type=module src=/page.js></script>" }],
  ["/page.js", { type: "text/javascript", text: "" }]
])

/** A folder with a page, beside a secret. */
const pageFolder = Effect.map(folder, (home) => {
  fs.writeFileSync(path.join(home, "secret"), "secret")
  fs.mkdirSync(path.join(home, "public"))
  fs.writeFileSync(path.join(home, "public/index.html"), "<!doctype html>the page")
  return path.join(home, "public")
})

describe.skipIf(pages === undefined)("docs/serving-pages.md", () => {
  const { files, withEffect, withHandler, withHandlerEffect, withServer } = pages as Pages

  it.live("the listener's own server answers with files", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const key = yield* launched(withHandler(files(contents), port))
      const page = yield* get(port, "/?query")
      assert.deepStrictEqual([page.status, page.policy], [200, "default-src 'self'; connect-src ws:"])
      assert.strictEqual(page.text, contents.get("/")?.text)
      assert.strictEqual((yield* get(port, "/../page.js")).status, 404)
      yield* echoes(port, key)
    }).pipe(Effect.scoped)
  )

  it.live("a server of the application goes on serving its pages when the peer is gone", () =>
    Effect.gen(function* () {
      const server = yield* httpServer(files(contents))
      const port = httpPort(server)
      const used = Effect.gen(function* () {
        const key = yield* launched(withServer(server))
        assert.strictEqual((yield* get(port, "/page.js")).status, 200)
        yield* echoes(port, key)
        assert.strictEqual(yield* status(port, { path: "/other" }), 404)
      })
      yield* Effect.scoped(used)
      assert.strictEqual((yield* get(port, "/page.js")).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("a stack without encryption takes a page only if its origin is named, and no foreign name for loopback", () =>
    Effect.gen(function* () {
      const server = yield* httpServer(files(contents))
      const port = httpPort(server)
      const asked = (headers: Record<string, string>) => status(port, { path: "/bare", headers })
      const Origin = `http://127.0.0.1:${port}`
      const answers = (origins?: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          yield* served("ws://127.0.0.1:0/bare", echo)
          const rebound = { Host: `other.example:${port}`, Origin: `http://other.example:${port}` }
          return [
            yield* asked({}),
            yield* asked({ Origin }),
            yield* asked({ Host: rebound.Host }),
            yield* asked(rebound)
          ]
        }).pipe(Effect.scoped, Effect.provide(multiserver({}, {}, { server, ...(origins && { origins }) })))
      assert.deepStrictEqual(yield* answers(), [101, 403, 403, 403])
      assert.deepStrictEqual(yield* answers([Origin]), [101, 101, 403, 403])
    }).pipe(Effect.scoped)
  )

  for (const [what, launch] of [
    ["Effect's HTTP server and the peer share a server", withEffect],
    ["an app of Effect answers on the listener's own server", withHandlerEffect]
  ] as const) {
    it.live(`${what}: files of a folder, nothing beside it, and the peer`, () =>
      Effect.gen(function* () {
        const root = yield* pageFolder
        const port = yield* freePort
        const used = Effect.gen(function* () {
          const key = yield* launched(launch(root, port))
          assert.deepInclude(yield* get(port, "/"), { status: 200, text: "<!doctype html>the page" })
          for (const outside of ["/../secret", "/%2e%2e/secret", "/..%2fsecret", "/%00"]) {
            const { status, text } = yield* get(port, outside)
            assert.isTrue(status >= 400 && text !== "secret", outside)
          }
          yield* echoes(port, key)
          assert.strictEqual(yield* status(port, { path: "/other" }), 404)
          assert.strictEqual(yield* status(port, { path: "/peer" }), 101)
        })
        yield* Effect.scoped(used)
        // All of it is gone, and the port is free.
        yield* httpServer(() => {}, "127.0.0.1", port)
      }).pipe(Effect.scoped)
    )
  }
})
