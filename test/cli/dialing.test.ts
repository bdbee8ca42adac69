/** How the command dials: what --timeout gives to each step, and the proxies that its flags name. */
import * as http from "node:http"
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Address from "../../src/Address.ts"
import * as Dialing from "../../src/cli/dialing.ts"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Transport from "../../src/Transport.ts"
import { protocols, served, turn } from "../support/servers.ts"
import { inside, listenInside } from "./inside.ts"
import { eventsOf } from "./support.ts"

const key = `${"A".repeat(43)}=`
const onion = `onion:${"a".repeat(56)}.onion:80`

/** Nobody ever answers over these. */
const silent = <const Name extends string>(name: Name, connectTimeout: "6 seconds" | "60 seconds") =>
  Transport.layer(name, {
    section: Schema.Any,
    reach: () => "public",
    connectTimeout,
    dial: () => Effect.never
  })

/** `onion` and `net` whose dials never connect, and `memory~shs`. */
const layer = Multiserver.layer(["onion", "net", "memory", "memory~shs"]).pipe(
  Layer.provide([silent("onion", "60 seconds"), silent("net", "6 seconds")]),
  Layer.provide(protocols()),
  // The clock stands still at the end of a test.
  Layer.provide(Limits.layer({ grace: Duration.zero }))
)

const dialing = (target: string, timeout: string | undefined, race = false) =>
  Effect.gen(function* () {
    const dial = yield* Dialing.dial({
      race,
      timeout: Option.fromUndefinedOr(timeout),
      tlsCa: Option.none(),
      socks: [],
      proxy: Option.none()
    })
    return yield* dial(yield* Effect.fromResult(Address.parse(target)))
  }).pipe(Effect.scoped, Effect.flip)

/** After how many seconds a dial has given up. */
const seconds = (target: string, timeout?: string, race = false) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(dialing(target, timeout, race))
    let passed = 0
    while (passed < 200) {
      yield* turn
      if (fiber.pollUnsafe() !== undefined) break
      yield* TestClock.adjust("1 second")
      passed++
    }
    const error = yield* Fiber.join(fiber)
    if (error._tag !== "DialError") return assert.fail(String(error))
    const attempts =
      error.reason._tag === "AllFailed" ? error.reason.attempts.map(({ reason }) => reason) : [error.reason]
    assert.isTrue(attempts.every(({ _tag }) => _tag === "TimedOut"))
    return passed
  })

describe("--timeout", () => {
  it.effect("gives a peer that never answers as long as it says, when that is longer than by itself", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(layer)
      yield* Effect.gen(function* () {
        yield* served("memory:mute", () => Effect.never)
        const mute = `memory:mute~shs:${key}`
        assert.strictEqual(yield* seconds(mute), 10)
        assert.strictEqual(yield* seconds(mute, "25s"), 25)
        assert.strictEqual(yield* seconds(mute, "8s"), 8)
        assert.strictEqual(yield* seconds("net:h:1"), 6)
        assert.strictEqual(yield* seconds("net:h:1", "25s"), 25)
        assert.strictEqual(yield* seconds(onion), 30)
        assert.strictEqual(yield* seconds(onion, "2m"), 120)
      }).pipe(Effect.provide(context))
    })
  )

  it.effect("is shared by addresses that are dialed one after another", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(layer)
      yield* Effect.gen(function* () {
        const [address] = yield* served("memory:here", () => Effect.never)
        const second = yield* Effect.forkChild(dialing(`net:h:1;${address}`, "40s"))
        yield* TestClock.adjust("19 seconds")
        assert.isUndefined(second.pollUnsafe())
        assert.strictEqual(yield* seconds("net:h:1;net:h:2", "40s"), 40)
        assert.strictEqual(yield* seconds("net:h:1;net:h:2"), 12)
        assert.strictEqual(yield* seconds("net:h:1;net:h:2", "40s", true), 40)
        yield* Fiber.interrupt(second)
      }).pipe(Effect.provide(context))
    })
  )
})

describe("--proxy", () => {
  /** A proxy to which each name is this machine, and what it was asked. */
  const proxy = Effect.gen(function* () {
    const asked: Array<string> = []
    const server = yield* Effect.acquireRelease(
      Effect.callback<http.Server>((resume) => {
        const server = http.createServer().on("connect", ({ url = "" }, socket: net.Socket) => {
          asked.push(url)
          const there = net.connect(Number(url.split(":")[1]), "127.0.0.1", () => {
            socket.write("HTTP/1.1 200 OK\r\n\r\n")
            there.pipe(socket).pipe(there)
          })
          there.on("error", () => socket.destroy())
          socket.on("error", () => there.destroy())
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    )
    const bound = server.address()
    return { asked, place: `127.0.0.1:${typeof bound === "object" ? bound?.port : ""}` }
  })

  it.live("leads ws there, given as a URL or by the environment; NO_PROXY and no flag lead around it", () =>
    Effect.gen(function* () {
      const { asked, place } = yield* proxy
      const { address } = yield* listenInside("ws://127.0.0.1:0~shs", "--echo")
      const there = address.replace("127.0.0.1", "pub.example")
      const env = { HTTP_PROXY: `http://me:secret@${place}` }
      const byUrl = yield* inside(["connect", "--proxy", `http://${place}`, there], { input: "hello" })
      assert.strictEqual(String(byUrl.stdout), "hello")
      const byEnv = yield* inside(["connect", "--proxy", "env", there], { input: "hello", env })
      assert.strictEqual(String(byEnv.stdout), "hello")
      assert.lengthOf(asked, 2)
      const around = yield* inside(["connect", "--json", "--proxy", "env", there], {
        env: { ...env, NO_PROXY: ".example" }
      })
      assert.strictEqual(around.code, 3)
      assert.notStrictEqual(eventsOf(around.stderr)[0]?.reason, "Proxy")
      assert.lengthOf(asked, 2)
      const wrong = yield* inside(["connect", "--json", "--proxy", "env", there], {
        env: { HTTP_PROXY: "https://me:secret@proxy" }
      })
      assert.strictEqual(wrong.code, 2)
      assert.include(wrong.stderr, "HTTP_PROXY")
      assert.notInclude(wrong.stderr + byEnv.stderr, "secret")
    })
  )
})
