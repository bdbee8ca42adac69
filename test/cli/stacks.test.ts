/** The stacks that the command speaks besides `net~shs`, and their flags. */
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { inside, listenInside, startInside } from "./inside.ts"
import { eventsOf, folder, privateCopy, run, sha256, start } from "./support.ts"

const tls = (name: string): string => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))

/** What a wss listener shows. */
const server = Effect.map(privateCopy(tls("server.key")), (key) => ["--tls-key", key, "--tls-cert", tls("server.crt")])

describe.concurrent("listen --echo and connect speak", () => {
  const inPlace = [
    "net:127.0.0.1:0~noise",
    "net:127.0.0.1:0~noisepq",
    "ws://127.0.0.1:0~noise",
    "ws://127.0.0.1:0",
    "ws://127.0.0.1:0~shs",
    "ws://127.0.0.1:0/path~noauth",
    "net:127.0.0.1:0~noauth"
  ]
  const compressed = ["net:127.0.0.1:0~shs~deflate", "ws://127.0.0.1:0~shs~deflate", "net:127.0.0.1:0~noise~deflate"]
  const inFolder = ["unix:socket", "unix:socket~shs", "unix:socket~noise", "unix:socket~noauth"]
  const bytes = randomBytes(300_000)
  it.live.each([...inPlace, ...compressed, ...inFolder])("%s", (target) =>
    Effect.gen(function* () {
      const socket = join(yield* folder, "socket")
      const { address, listener } = yield* listenInside(target.replace(/socket/, socket), "--echo")
      // The echo waits for an end, which a ws without keys can't say of one side only.
      const ending = /^ws:[^~]*(~noauth)?$/.test(target) ? ["--linger", "0"] : []
      const connect = yield* startInside(["connect", "--json", ...ending, address])
      yield* connect.write(bytes)
      assert.strictEqual(sha256(yield* connect.received(bytes.length)), sha256(bytes))
      yield* connect.end()
      assert.strictEqual((yield* connect.exit).code, 0)
      yield* listener.interrupt
      assert.isFalse(existsSync(socket))
    })
  )

  it.live.each(["ws://127.0.0.1:0~noise", "net:127.0.0.1:0~shs~deflate", "unix:socket~shs"])(
    "%s, by processes",
    (target) =>
      Effect.gen(function* () {
        const cwd = yield* folder
        const listener = yield* start(["listen", "--json", target, "--echo"], { cwd })
        const connect = yield* start(["connect", "--json", yield* listener.address], { cwd })
        yield* connect.write(bytes)
        assert.strictEqual(sha256(yield* connect.received(bytes.length)), sha256(bytes))
        yield* connect.end()
        assert.strictEqual((yield* connect.exit).code, 0)
        yield* listener.kill("SIGTERM")
        yield* listener.exit
        assert.isFalse(existsSync(join(cwd, "socket")))
      })
  )
})

describe.concurrent("wss", () => {
  it.live("shows --tls-cert to who trusts it by --tls-ca, and nobody else takes it", () =>
    Effect.gen(function* () {
      const { address } = yield* listenInside("wss://localhost:0~shs", "--echo", ...(yield* server))
      const trusting = yield* run(["connect", "--tls-ca", tls("ca.crt"), address], { input: "over TLS" })
      assert.strictEqual(String(trusting.stdout), "over TLS")
      const { code, stderr } = yield* inside(["connect", "--json", address])
      assert.strictEqual(code, 5)
      assert.deepInclude(eventsOf(stderr).at(-1), { tag: "DialError", reason: "Tls" })
    })
  )

  it.live("says which file is not there, and exits 1", () =>
    Effect.gen(function* () {
      for (const args of [
        ["listen", "wss://127.0.0.1:0", "--tls-key", "absent", "--tls-cert", tls("server.crt")],
        ["connect", "wss://127.0.0.1:1", "--tls-ca", "absent"]
      ]) {
        const { code, stderr } = yield* inside([...args, "--json"])
        assert.strictEqual(code, 1)
        assert.deepInclude(eventsOf(stderr)[0], { tag: "LocalError", reason: "NotFound" })
        assert.include(eventsOf(stderr)[0]?.message, "absent")
      }
    })
  )
})

describe.concurrent("--origin", () => {
  const pages = ["https://app.example", "http://localhost:5173"]
  const showing = (origin: string, address: string) =>
    inside(["connect", "--json", "--linger", "0", "--origin", origin, address])

  it.live("lets in who shows one of these, and who shows none, over a bare ws", () =>
    Effect.gen(function* () {
      const allowed = pages.flatMap((page) => ["--origin", page])
      const { address } = yield* listenInside("ws://127.0.0.1:0", "--echo", ...allowed)
      for (const page of pages) assert.strictEqual((yield* showing(page, address)).code, 0)
      assert.strictEqual((yield* inside(["connect", "--linger", "0", address])).code, 0)
      const { code, stderr } = yield* showing("https://evil.example", address)
      assert.strictEqual(code, 3)
      assert.include(eventsOf(stderr)[0]?.message, "HTTP_403")
    })
  )

  it.live("without it, no page gets into a bare ws, and all into one that authenticates", () =>
    Effect.gen(function* () {
      const { address: bare } = yield* listenInside("ws://127.0.0.1:0", "--echo")
      const { address: authenticated } = yield* listenInside("ws://127.0.0.1:0~shs", "--echo")
      for (const page of pages) {
        assert.strictEqual((yield* showing(page, bare)).code, 3)
        assert.strictEqual((yield* showing(page, authenticated)).code, 0)
      }
    })
  )
})

describe.concurrent("--scope and --external", () => {
  const addressesOf = (...args: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const { listener } = yield* listenInside(...args)
      const { addresses = [] } = yield* listener.event("listening")
      return addresses.map((address) => address.replace(/:\d+~.*$/, ""))
    })

  it.live("say how the public reaches it, by each host that it knows", () =>
    Effect.gen(function* () {
      const hosts = ["--external", "pub.example", "--external", "other.example"]
      const target = "net:0.0.0.0:0~shs"
      const known = ["net:pub.example", "net:other.example"]
      assert.deepStrictEqual(yield* addressesOf(target, ...hosts, "--scope", "public"), known)
      const both = yield* addressesOf(target, ...hosts, "--scope", "public", "--scope", "device")
      assert.deepStrictEqual(both, [...known, "net:localhost"])
      const all = yield* addressesOf(target, ...hosts)
      assert.includeMembers([...all], ["net:localhost", ...known])
    })
  )

  it.live("say so when an external host leads to nothing, and take the whole address of what does", () =>
    Effect.gen(function* () {
      const unused = yield* listenInside("net:127.0.0.1:0~shs", "--external", "Pub.example")
      assert.match((yield* unused.listener.event("warning")).message ?? "", /^--external pub\.example leads to nothing/)
      const whole = yield* listenInside("net:127.0.0.1:0~shs", "--external", "wss://pub.example~shs")
      const key = whole.address.split("~")[1]
      const { addresses = [] } = yield* whole.listener.event("listening")
      assert.include(addresses, `wss://pub.example~${key}`)
      assert.isEmpty(whole.listener.events().filter(({ event }) => event === "warning"))
    })
  )

  it.live("say nothing of what can't be reached from there", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* addressesOf("net:127.0.0.1:0~shs", "--scope", "public"), [])
      const person = yield* startInside(["listen", "net:127.0.0.1:0~shs", "--scope", "public"])
      assert.match((yield* person.lines(1))[0] ?? "", /^listening, but on no address/)
    })
  )
})

describe.concurrent("--race", () => {
  it.live("takes the one that answers while another one is silent", () =>
    Effect.gen(function* () {
      // It accepts, and never says anything.
      const silent = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const bound = silent.address()
      const port = typeof bound === "object" ? bound?.port : undefined
      const { address } = yield* listenInside("net:127.0.0.1:0~shs", "--echo")
      const addresses = `net:127.0.0.1:${port}~${address.split("~")[1]};${address}`
      const inOrder = yield* inside(["connect", "--json", "--timeout", "1s", addresses])
      assert.strictEqual(inOrder.code, 4)
      const raced = yield* inside(["connect", "--json", "--timeout", "1h", "--race", addresses], { input: "first" })
      assert.strictEqual(raced.code, 0)
      assert.strictEqual(String(raced.stdout), "first")
    })
  )
})

describe.concurrent("--socks", () => {
  const onion = `onion:${"a".repeat(56)}.onion:80`

  /** A proxy that keeps what it is asked for, and knows no host. */
  const proxy = Effect.gen(function* () {
    const asked: Array<string> = []
    const server = yield* Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer((socket) => {
          socket.on("error", () => {})
          socket.once("data", () => {
            socket.write(Uint8Array.of(5, 0))
            socket.once("data", (request) => {
              asked.push(request.subarray(5, 5 + (request[4] ?? 0)).toString())
              socket.end(Uint8Array.of(5, 4, 0, 1, 0, 0, 0, 0, 0, 0))
            })
          })
        }).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    )
    const bound = server.address()
    return { asked, place: `127.0.0.1:${typeof bound === "object" ? bound?.port : ""}` }
  })

  it.live("gives the name to each proxy in turn, and exits 3 when none gets there", () =>
    Effect.gen(function* () {
      const [first, second] = [yield* proxy, yield* proxy]
      const { code, stderr } = yield* inside([
        "connect",
        "--json",
        ...["--socks", "127.0.0.1:1", "--socks", first.place, "--socks", second.place],
        onion
      ])
      assert.strictEqual(code, 3)
      assert.deepInclude(eventsOf(stderr)[0], { tag: "DialError", reason: "Proxy" })
      const name = `${"a".repeat(56)}.onion`
      assert.deepStrictEqual([first.asked, second.asked], [[name], [name]])
    })
  )
})
