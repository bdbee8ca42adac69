import { promises as dns } from "node:dns"
import * as net from "node:net"
import * as os from "node:os"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Address from "../src/Address.ts"
import type { ConnectionError } from "../src/ConnectionError.ts"
import type * as Events from "../src/Events.ts"
import { formatPublicKey, Identity } from "../src/Identity.ts"
import * as Limits from "../src/Limits.ts"
import type { ListenError } from "../src/ListenError.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Policy from "../src/Policy.ts"
import { reachOf } from "../src/sockets/ip.ts"
import * as Transport from "../src/Transport.ts"
import * as WebSocket from "../src/ws/WebSocket.ts"
import {
  echo,
  multiserver,
  pattern,
  protocols,
  readAll,
  recorder,
  sameBytes,
  served,
  turn,
  turns,
  until
} from "./support/servers.ts"

/** With WebSockets too. */
const web = Multiserver.layer(["net", "net~shs", "ws~shs"]).pipe(Layer.provide([protocols(), WebSocket.layer()]))

const reason = (error: ConnectionError | Cause.Done): string =>
  Cause.isDone(error) ? "Done" : error.reason._tag === "LocallyClosed" ? error.reason.why : error.reason._tag

/** Dials, sends, and reads until the end: whether the server serves. */
const exchange = (address: Multiserver.Target) =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* Multiserver.dial(address)
      yield* Effect.andThen(connection.write(pattern(100)), connection.end)
      assert.isTrue(sameBytes(yield* readAll(connection), pattern(100)))
    })
  )

describe("listen", () => {
  it.live("advertises real ports and keys, and binds nothing but what the address says", () =>
    Effect.gen(function* () {
      const listener = yield* Multiserver.listen([
        "net:127.0.0.1:0~shs",
        "net:::1:0~shs",
        "memory:m",
        "net:0.0.0.0:0~shs"
      ])
      const device = listener.addresses().map(String)
      assert.match(device[0] ?? "", /^net:127\.0\.0\.1:[1-9]\d+~shs:[A-Za-z0-9+/]{43}=$/)
      assert.match(device[1] ?? "", /^net:::1:[1-9]\d+~shs:/)
      assert.strictEqual(device[2], "memory:m")
      // A wildcard is advertised as what it stands for, and never as itself.
      assert.match(device[3] ?? "", /^net:localhost:[1-9]\d+~shs:/)
      const public_ = listener.addresses("public").map(String)
      assert.isFalse(public_.some((address) => /127\.0\.0\.1|::1|memory|0\.0\.0\.0|localhost/.test(address)))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("advertises an external host in public, several scopes at once, and nothing twice", () =>
    Effect.gen(function* () {
      const external = ["pub.example", "2001:db8::7"]
      const listener = yield* Multiserver.listen(["net:0.0.0.0:0~shs", "net:127.0.0.1:0~shs"], { external })
      const port = (text: string | undefined) => /:(\d+)~/.exec(text ?? "")?.[1]
      const all = listener.addresses(["device", "public", "device"]).map(String)
      const [first, second, third, fourth] = all
      assert.strictEqual(all.length, 4)
      assert.match(first ?? "", /^net:localhost:/)
      assert.match(second ?? "", /^net:127\.0\.0\.1:/)
      assert.strictEqual(third, first?.replace("localhost", "pub.example"))
      assert.strictEqual(fourth, first?.replace("localhost", "2001:db8::7"))
      assert.notStrictEqual(port(first), port(second))
      // A hidden service of Tor's that points to a listener is advertised as what it is dialed as.
      const name = `${"a".repeat(56)}.onion`
      const behindTor = yield* Multiserver.listen("net:127.0.0.1:0~shs", { external: name })
      assert.match(String(behindTor.addresses("public")[0]), /^onion:a{56}\.onion:\d+~shs:/)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("binds only the interfaces of a scope when it is asked to", () =>
    Effect.gen(function* () {
      const device = yield* Multiserver.listen("net:0.0.0.0:0~shs", { scope: "device" })
      assert.deepStrictEqual(
        device.addresses(["device", "local", "public"]).map((each) => String(each).replace(/:\d+~.*/, "")),
        ["net:127.0.0.1"]
      )
      const six = yield* Multiserver.listen("net::::0", { scope: "device" })
      assert.match(String(six.addresses()[0]), /^net:::1:\d+$/)
      // What names its interface is bound as it says.
      const own = yield* Multiserver.listen("net:127.0.0.1:0", { scope: ["local", "public"] })
      assert.match(String(own.addresses()[0]), /^net:127\.0\.0\.1:/)
      // What this machine has: each of its own, or a typed error when it has none.
      const local = yield* Effect.result(Multiserver.listen("net:0.0.0.0:0", { scope: "local" }))
      if (Result.isFailure(local)) assert.include(local.failure.message, "no interface of this machine is local")
      else assert.isTrue(local.success.addresses("local").every((each) => !/127\.|0\.0\.0\.0/.test(String(each))))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("takes external hosts however they are written, and says them as sections do", () =>
    Effect.gen(function* () {
      const onion = `${"a".repeat(56)}.onion`
      const cases = [
        ["ws://0.0.0.0:0~shs", "Pub.Example", "ws://pub.example:P"],
        ["net:0.0.0.0:0~shs", "Pub.Example", "net:pub.example:P"],
        ["ws://0.0.0.0:0~shs", "münchen.example", "ws://xn--mnchen-3ya.example:P"],
        ["net:0.0.0.0:0~shs", "münchen.example", "net:xn--mnchen-3ya.example:P"],
        ["ws://[::]:0~shs", "2001:DB8::1", "ws://[2001:db8::1]:P"],
        ["ws://[::]:0~shs", "[2001:DB8::1]", "ws://[2001:db8::1]:P"],
        ["net:0.0.0.0:0~shs", `${onion}.`, `onion:${onion}:P`],
        ["net:0.0.0.0:0~shs", onion.toUpperCase(), `onion:${onion}:P`]
      ] as const
      for (const [target, external, expected] of cases) {
        const listener = yield* Multiserver.listen(target, { external })
        const [first] = listener.addresses("public")
        assert.strictEqual(String(first).replace(/:\d+~shs:.*$/, ":P"), expected, external)
        assert.isTrue(Result.isSuccess(Address.parse(String(first))))
      }
      // A WebSocket has no way to an onion service.
      const ws = yield* Multiserver.listen("ws://0.0.0.0:0~shs", { external: `${onion}.` })
      assert.notInclude(ws.addresses(["device", "local", "public"]).join(), "onion")
    }).pipe(Effect.provide(web))
  )

  it.live("says an external host to those who can reach it, and a wildcard to nobody", () =>
    Effect.gen(function* () {
      const external = ["192.168.7.7", "pub.example", "0.0.0.0", "127.0.0.1"]
      const listener = yield* Multiserver.listen("net:0.0.0.0:0", { external })
      const hosts = (scope: "device" | "local" | "public") =>
        listener.addresses(scope).map((each) => /^net:(.*):\d+$/.exec(`${each}`)?.[1])
      assert.deepStrictEqual(
        [hosts("device"), hosts("local"), hosts("public")],
        [["localhost"], ["192.168.7.7"], ["pub.example"]]
      )
    }).pipe(Effect.provide(multiserver()))
  )

  it.live.each(["shs", "noise", "noisepq"])("listens under no key but its own, and with no secret, over %s", (name) =>
    Effect.gen(function* () {
      const own = formatPublicKey((yield* Identity).publicKey)
      const other = Buffer.alloc(32, 9).toString("base64")
      const secret = Buffer.alloc(32, 5).toString("base64")
      const target = `net:127.0.0.1:0~${name}`
      const refusals = [
        [`${target}:${other}`, `${other}, and this listener's is ${own}`],
        [`${target}:${other}:${secret}`, "is for a dialer"],
        [`${target}:${own}:${secret}`, "is for a dialer"]
      ] as const
      for (const [address, said] of refusals) {
        const error = yield* Effect.flip(Multiserver.listen(address))
        assert.deepStrictEqual([error._tag, error.reason._tag], ["ListenError", "NotListenable"], address)
        assert.include(error.message, said)
        assert.notInclude(error.message, secret)
      }
      const listener = yield* Multiserver.listen(`${target}:${own}`)
      assert.include(`${listener.addresses()[0]}`, `~${name}:${own}`)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("says a whole external address as it is, with the key that it leads to", () =>
    Effect.gen(function* () {
      const target = "net:127.0.0.1:0~shs"
      const listener = yield* Multiserver.listen(target, {
        external: ["wss://pub.example/ssb~shs", "net:192.168.7.7:80~shs"]
      })
      const key = /~shs:.*$/.exec(`${listener.addresses()[0]}`)?.[0]
      assert.deepStrictEqual(listener.addresses("public").map(String), [`wss://pub.example/ssb${key}`])
      assert.deepStrictEqual(listener.addresses("local").map(String), [`net:192.168.7.7:80${key}`])
      const withKey = yield* Multiserver.listen(target, { external: `wss://pub.example${key}` })
      assert.deepStrictEqual(withKey.addresses("public").map(String), [`wss://pub.example${key}`])
      const other = Buffer.alloc(32, 9).toString("base64")
      for (const external of ["wss://pub.example", "net:pub.example:80~noise", `wss://pub.example~shs:${other}`]) {
        const error = yield* Effect.flip(Multiserver.listen(target, { external }))
        assert.deepStrictEqual([error._tag, error.reason._tag], ["ListenError", "NotListenable"], external)
        assert.include(error.message, "pub.example")
      }
      for (const external of ["pub~shs", "net:pub.example:0~shs", `net:h:1~shs:${other}:${other}`, "pub.example:80"]) {
        const error = yield* Effect.flip(Multiserver.listen(target, { external }))
        assert.deepStrictEqual([error._tag, error.reason._tag], ["AddressError", "BadHost"], external)
      }
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("says of a wildcard in any spelling, and of a name that is this device's, what can be dialed", () =>
    Effect.gen(function* () {
      const hostsOf = (target: string, scope: "device" | "local" | "public") =>
        Effect.map(Multiserver.listen(target), (listener) =>
          listener.addresses(scope).map((each) => /^(?:net:|ws:..)(.*?):\d+(?:~|$)/.exec(`${each}`)?.[1] ?? "")
        )
      for (const target of [
        "net:::0:0",
        "net:0:0:0:0:0:0:0:0:0",
        "net:::ffff:0.0.0.0:0",
        "net:0:0",
        "ws://[::0]:0~shs"
      ]) {
        assert.deepStrictEqual(yield* hostsOf(target, "device"), ["localhost"], target)
        for (const scope of ["local", "public"] as const) {
          const hosts = yield* hostsOf(target, scope)
          assert.isEmpty(
            hosts.filter((host) => /^[0:.[\]]*$|ffff:0|fe80/i.test(host)),
            `${target} ${hosts}`
          )
        }
      }
      assert.deepStrictEqual(yield* hostsOf("net:LOCALHOST:0", "device"), ["LOCALHOST"])
      assert.isEmpty(yield* hostsOf("net:LOCALHOST:0", "public"))
      // The name of a machine may well be a name of loopback.
      const name = os.hostname().toLowerCase()
      const found = yield* Effect.result(Effect.tryPromise(() => dns.lookup(name)))
      if (Result.isFailure(found)) return yield* Effect.logWarning(`NOT TESTED: ${name} is not found`)
      for (const scope of ["device", "local", "public"] as const) {
        const isThere = Transport.within(scope, reachOf(found.success.address))
        for (const target of [`net:${name}:0`, `ws://${name}:0~shs`]) {
          assert.deepStrictEqual(yield* hostsOf(target, scope), isThere ? [name] : [], `${target} from ${scope}`)
        }
      }
    }).pipe(Effect.provide(web))
  )

  it.live("refuses an external host that is none, and more addresses than there may be", () =>
    Effect.gen(function* () {
      const host = yield* Effect.flip(Multiserver.listen("memory:m", { external: ["pub.example", "pub example"] }))
      assert.strictEqual(host.reason._tag, "BadHost")
      const many = Array.from({ length: 17 }, (_, i) => `memory:m${i}`)
      const errors = [yield* Effect.flip(Multiserver.listen(many)), yield* Effect.flip(Multiserver.dial(many))]
      assert.deepStrictEqual(
        errors.map((error) => [error._tag, error.reason._tag]),
        [
          ["AddressError", "TooLong"],
          ["AddressError", "TooLong"]
        ]
      )
    }).pipe(Effect.provide(multiserver()))
  )

  it.effect("tells of its addresses, and of a change of them", () =>
    Effect.gen(function* () {
      const listener = yield* Multiserver.listen("memory:m~shs")
      const [first] = yield* listener.addressChanges().pipe(Stream.take(1), Stream.runCollect)
      assert.deepStrictEqual(first?.map(String), listener.addresses().map(String))
      const unchanged = yield* Effect.forkChild(Stream.runCollect(Stream.take(listener.addressChanges(), 2)))
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(unchanged.pollUnsafe())
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("is all or nothing, and names the address that could not be bound", () =>
    Effect.gen(function* () {
      const [taken] = (yield* Multiserver.listen("net:127.0.0.1:0")).addresses()
      const port = taken?.transport._tag === "net" ? taken.transport.port : 0
      const free = yield* Effect.scoped(
        Effect.map(Multiserver.listen("net:127.0.0.1:0"), (listener) => listener.addresses().map(String)[0] ?? "")
      )
      const error = yield* Effect.flip(
        Multiserver.listen(["memory:a", free, "memory:b", `net:127.0.0.1:${port}`, "memory:c"])
      )
      assert.isTrue(error._tag === "ListenError" && error.reason._tag === "AddressInUse")
      assert.strictEqual(error._tag === "ListenError" ? error.address : "", `net:127.0.0.1:${port}`)
      // Those before it are free again.
      yield* Multiserver.listen(["memory:a", free, "memory:b", "memory:c"])
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("refuses what it can't bind with a typed error, before it binds anything", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [string, string]> = [
        ["ws://127.0.0.1~shs", "Unsupported"],
        ["net:127.0.0.1:0~noauth", "Unsupported"],
        ["net:192.0.2.77:0", "AddressNotAvailable"]
      ]
      for (const [address, expected] of cases) {
        const error = yield* Effect.flip(Multiserver.listen(["memory:a", address]))
        assert.strictEqual(error.reason._tag, expected, address)
        yield* Effect.scoped(Multiserver.listen("memory:a"))
      }
    }).pipe(Effect.provide(multiserver()))
  )
})

describe("serve", () => {
  it.live("ends only the connection of a handler that fails, dies or never returns", () =>
    Effect.gen(function* () {
      let turnOf = 0
      const [address] = yield* served(
        "net:127.0.0.1:0~shs",
        (connection): Effect.Effect<void, ConnectionError | string> => {
          turnOf++
          if (turnOf === 1) return Effect.fail("broken")
          if (turnOf === 2) return Effect.die(new Error("worse"))
          if (turnOf === 3) throw new Error("worst")
          return turnOf === 4 ? Effect.never : echo(connection)
        }
      )
      for (let i = 0; i < 3; i++) {
        const end = yield* Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* Multiserver.dial(address as Address.Address)
            return yield* connection.pull.pipe(Effect.flip)
          })
        )
        assert.include(["Truncated", "Reset"], reason(end))
      }
      yield* Multiserver.dial(address as Address.Address)
      yield* exchange(address as Address.Address)
    }).pipe(Effect.provide(multiserver()), Effect.provide(quiet))
  )

  it.live.each(["net:127.0.0.1:0~shs", "net:127.0.0.1:0~noise", "net:127.0.0.1:0"])(
    "of %s: a handler that returns while its peer still sends takes nothing back of what it wrote",
    (target) => {
      const events: Array<Events.Event> = []
      const answer = pattern(3_000_000)
      return Effect.gen(function* () {
        const [address] = yield* served(target, (connection) =>
          Effect.andThen(connection.pull, connection.write(answer))
        )
        const connection = yield* Multiserver.dial(address as Address.Address)
        let over = false
        const sending = yield* Effect.forkChild(
          connection.write(pattern(50_000)).pipe(Effect.repeat({ while: () => !over })),
          { startImmediately: true }
        )
        // The answer is in the kernels now, and waits there.
        yield* Effect.sleep("300 millis")
        assert.isTrue(sameBytes(yield* readAll(connection), answer))
        over = true
        yield* Fiber.join(sending)
        yield* connection.end
        const closed = () =>
          events.flatMap((event) => (event._tag === "Closed" && event.role === "listen" ? [event.tag] : []))
        yield* Effect.sleep("10 millis").pipe(Effect.repeat({ until: () => closed().length > 0 }))
        assert.deepStrictEqual(closed(), ["end"])
      }).pipe(
        Effect.scoped,
        // However busy the machine is, the answer has time to get out.
        Effect.provide(
          multiserver().pipe(Layer.provide([recorder(events), Limits.layer({ close: Duration.minutes(5) })]))
        )
      )
    }
  )

  it.live("lets what a handler has acquired say its last word, before the goodbye", () =>
    Effect.gen(function* () {
      const [address] = yield* served("net:127.0.0.1:0~shs", (connection) =>
        Effect.acquireRelease(connection.pull, () => Effect.orDie(connection.write(pattern(7))))
      )
      const connection = yield* Multiserver.dial(address as Address.Address)
      yield* connection.write(pattern(1))
      assert.isTrue(sameBytes(yield* readAll(connection), pattern(7)))
    }).pipe(Effect.scoped, Effect.provide(multiserver()))
  )

  it.live("ends a handshake at its deadline, although its authorize can't be interrupted", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      const answer = yield* Deferred.make<boolean>()
      const layer = multiserver({
        authorize: () =>
          Effect.uninterruptible(Effect.andThen(Deferred.succeed(asked, undefined), Deferred.await(answer)))
      }).pipe(Layer.provide([recorder(events), Limits.layer({ handshake: Duration.seconds(2) })]))
      yield* Effect.gen(function* () {
        const [address] = yield* served("net:127.0.0.1:0~shs", echo)
        const dialing = yield* Effect.forkChild(
          Effect.exit(Multiserver.dial(String(address), { timeouts: { handshake: "10 minutes" } }))
        )
        yield* Deferred.await(asked)
        // Its socket is gone, whatever the code does.
        assert.isTrue(Exit.isFailure(yield* Fiber.join(dialing)))
        yield* Deferred.succeed(answer, true)
        const failed = () => events.flatMap((event) => (event._tag === "HandshakeFailed" ? [event.tag] : []))
        yield* until(() => failed().length > 0)
        assert.deepStrictEqual(failed(), ["TimedOut"])
      }).pipe(Effect.provide(layer))
    })
  })

  it.live("lets in whom authorize lets in: asked once, with the proved key; anything but a yes refuses", () =>
    Effect.gen(function* () {
      const events: Array<Events.Event> = []
      let answer: Effect.Effect<boolean, string> = Effect.succeed(true)
      let asked = 0
      const layer = multiserver({
        authorize: ({ publicKey, remote }) =>
          Effect.suspend(() => {
            asked++
            assert.strictEqual(publicKey.length, 32)
            assert.match(String(remote), /^net:127\.0\.0\.1:\d+$/)
            return answer
          })
      }).pipe(Layer.provide(recorder(events)))
      yield* Effect.gen(function* () {
        const [address] = yield* served("net:127.0.0.1:0~shs", echo)
        yield* exchange(address as Address.Address)
        assert.strictEqual(asked, 1)
        const answers = [
          Effect.succeed(false),
          Effect.fail("no answer"),
          Effect.die(new Error("broken")),
          // As of a queue that was shut down: nobody has interrupted the handshake.
          Effect.interrupt
        ]
        for (const [i, each] of answers.entries()) {
          answer = each
          const error = yield* Effect.flip(exchange(address as Address.Address))
          assert.isTrue(error._tag === "DialError" && error.reason._tag === "HandshakeError")
          assert.match(error.message, /hung up after we authenticated/)
          assert.isFalse(error.isRetryable)
          const failures = () => events.filter((event) => event._tag === "HandshakeFailed")
          yield* Effect.repeat(Effect.sleep(1), { until: () => failures().length > i })
          const refusals = failures()
          assert.strictEqual(refusals.length, i + 1)
          assert.strictEqual(refusals[i]?.tag, "NotAuthorized")
        }
        answer = Effect.succeed(true)
        yield* exchange(address as Address.Address)
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("ends a handshake whose authorize never answers at the deadline, and interrupts it", () =>
    Effect.gen(function* () {
      let interrupted = false
      const events: Array<Events.Event> = []
      const never = Effect.onInterrupt(Effect.never, () =>
        Effect.sync(() => {
          interrupted = true
        })
      )
      yield* Effect.gen(function* () {
        const [address] = yield* served("memory:m~shs", echo)
        const dial = yield* Effect.forkChild(Effect.flip(Multiserver.dial(address as Address.Address)))
        for (let i = 0; i < 20; i++) yield* turn
        yield* TestClock.adjust("10 seconds")
        for (let i = 0; i < 20; i++) yield* turn
        yield* Fiber.join(dial)
        assert.isTrue(interrupted)
        const failed = events.find((event) => event._tag === "HandshakeFailed")
        assert.strictEqual(failed?._tag === "HandshakeFailed" ? failed.tag : "", "TimedOut")
      }).pipe(Effect.provide(multiserver({ authorize: () => never }).pipe(Layer.provide(recorder(events)))))
    })
  )

  it.live("turns newcomers away by policy, and lets a silent one make room for them when too many are pending", () =>
    Effect.gen(function* () {
      const events: Array<Events.Event> = []
      let allowed = false
      const layer = Multiserver.layer(["net~shs"]).pipe(
        Layer.provide(protocols()),
        Layer.provide(Layer.succeed(Policy.Policy, { ...Policy.allowAll, mayConnect: () => allowed })),
        Layer.provide(Layer.succeed(Limits.Limits, { ...Limits.defaults, pendingHandshakes: 1 })),
        Layer.provide(recorder(events))
      )
      yield* Effect.gen(function* () {
        const [address] = yield* served("net:127.0.0.1:0~shs", echo)
        const error = yield* Effect.flip(exchange(address as Address.Address))
        assert.strictEqual(error._tag, "DialError")
        allowed = true
        const port = address?.transport._tag === "net" ? address.transport.port : 0
        const idle = yield* Effect.acquireRelease(
          Effect.sync(() => net.connect(port, "127.0.0.1").on("error", () => {})),
          (socket) => Effect.sync(() => socket.destroy())
        )
        yield* Effect.repeat(Effect.sleep(1), { until: () => !idle.connecting })
        yield* exchange(address as Address.Address)
        yield* Effect.repeat(Effect.sleep(1), {
          until: () => idle.destroyed && events.some((event) => event._tag === "HandshakeFailed")
        })
        const tags = events.flatMap((event) =>
          event._tag === "Refused" || event._tag === "HandshakeFailed" ? [`${event._tag} ${event.tag}`] : []
        )
        assert.deepStrictEqual(tags, ["Refused DeniedByPolicy", "HandshakeFailed Displaced"])
      }).pipe(Effect.provide(layer))
    })
  )

  it.live("logs no failed handshake and no broken connection above debug", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.layer([Logger.make(({ logLevel }) => lines.push(logLevel))])
      yield* Effect.gen(function* () {
        const [address] = yield* served("net:127.0.0.1:0~shs", echo)
        const port = address?.transport._tag === "net" ? address.transport.port : 0
        for (const bytes of [pattern(64), pattern(1), pattern(5000)]) {
          yield* Effect.callback<void>((resume) => {
            const socket = net.connect(port, "127.0.0.1")
            socket.on("error", () => {})
            socket.on("close", () => resume(Effect.void))
            socket.end(bytes)
          })
        }
        const dial = yield* Effect.forkChild(
          Effect.scoped(Effect.andThen(Multiserver.dial(address as Address.Address), Effect.never))
        )
        yield* turns
        yield* Fiber.interrupt(dial)
        yield* Effect.repeat(Effect.sleep("50 millis"), { until: () => lines.length > 2 })
      }).pipe(Effect.provide(multiserver()), Effect.provide([logger, Layer.succeed(References.MinimumLogLevel, "All")]))
      assert.isAbove(lines.length, 2)
      assert.deepStrictEqual([...new Set(lines)], ["Debug"])
    })
  )
})

describe("draining", () => {
  const withGrace = (grace: Duration.Input) =>
    Multiserver.layer(["net~shs", "memory~shs", "memory"]).pipe(
      Layer.provide(protocols()),
      Layer.provide(Layer.succeed(Limits.Limits, { ...Limits.defaults, grace: Duration.fromInputUnsafe(grace) }))
    )

  it.live("tells handlers, delivers what has arrived, lets them finish, and says goodbye", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const listener = yield* Multiserver.listen("net:127.0.0.1:0~shs").pipe(Scope.provide(scope))
      const ended = yield* Deferred.make<string>()
      yield* Effect.forkChild(
        listener.run((connection) =>
          Effect.gen(function* () {
            yield* listener.draining
            // What has arrived is delivered first; then the pull says what to do, and writes go on.
            const chunks = yield* connection.pull
            yield* Deferred.succeed(ended, reason(yield* Effect.flip(connection.pull)))
            yield* Effect.sleep("50 millis")
            yield* connection.writeAll(chunks)
          })
        )
      )
      const [address] = listener.addresses()
      const connection = yield* Multiserver.dial(address as Address.Address)
      yield* connection.write(pattern(100))
      // It has arrived some turns later.
      for (let i = 0; i < 50; i++) yield* turn
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* Deferred.await(ended), "draining")
      assert.isTrue(sameBytes(yield* readAll(connection), pattern(100)))
      const refused = yield* Effect.flip(Multiserver.dial(address as Address.Address))
      assert.strictEqual(refused.reason._tag, "Refused")
    }).pipe(Effect.provide(withGrace("10 minutes")))
  )

  it.live("counts a handler that fails with just what draining made of its pull as finished", () =>
    Effect.gen(function* () {
      const serving = yield* Deferred.make<Address.Address>()
      const server = yield* Effect.forkChild(
        Effect.scoped(
          Effect.gen(function* () {
            const listener = yield* Multiserver.listen("net:127.0.0.1:0~shs")
            yield* Deferred.succeed(serving, listener.addresses()[0] as Address.Address)
            return yield* listener.run(echo)
          })
        )
      )
      const connection = yield* Multiserver.dial(yield* Deferred.await(serving))
      yield* connection.write(pattern(10))
      yield* connection.pull
      yield* Fiber.interrupt(server)
      // A goodbye: the echo was pulling, with nothing owed.
      assert.strictEqual((yield* readAll(connection)).length, 0)
    }).pipe(Effect.provide(withGrace("10 minutes")))
  )

  it.live("interrupts handlers after the grace time, without a goodbye", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const listener = yield* Multiserver.listen("net:127.0.0.1:0~shs").pipe(Scope.provide(scope))
      yield* Effect.forkChild(listener.run(() => Effect.never))
      const connection = yield* Multiserver.dial(listener.addresses()[0] as Address.Address)
      yield* Scope.close(scope, Exit.void)
      assert.include(["Truncated", "Reset"], reason(yield* Effect.flip(connection.pull)))
    }).pipe(Effect.provide(withGrace("50 millis")))
  )

  it.live("ends unfinished handshakes and connections that no handler has got", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const listener = yield* Multiserver.listen("net:127.0.0.1:0~shs").pipe(Scope.provide(scope))
      const [address] = listener.addresses()
      const port = address?.transport._tag === "net" ? address.transport.port : 0
      const closed = yield* Deferred.make<void>()
      const socket = net.connect(port, "127.0.0.1")
      socket.on("error", () => {})
      socket.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
      socket.resume()
      const waiting = yield* Multiserver.dial(address as Address.Address)
      yield* turns
      yield* Scope.close(scope, Exit.void)
      yield* Deferred.await(closed)
      assert.include(["Truncated", "Reset"], reason(yield* Effect.flip(waiting.pull)))
    }).pipe(Effect.provide(withGrace("10 seconds")))
  )

  it.live("starts again on the same port at once", () =>
    Effect.gen(function* () {
      let target: Multiserver.Target = "net:127.0.0.1:0~shs"
      for (let i = 0; i < 5; i++) {
        target = yield* Effect.scoped(
          Effect.gen(function* () {
            const [address] = yield* served(target, echo)
            yield* exchange(address as Address.Address)
            return address as Address.Address
          })
        )
        target = `${String(target.transport._tag)}:127.0.0.1:${target.transport._tag === "net" ? target.transport.port : 0}~shs`
      }
    }).pipe(Effect.provide(withGrace("1 second")))
  )
})

describe("a transport of somebody else's", () => {
  it.effect("that throws when it is told to end a newcomer ends nothing but that: not the deadline of the others", () =>
    Effect.gen(function* () {
      const events: Array<Events.Event> = []
      const logged: Array<string> = []
      const logger = Logger.make(({ cause, logLevel, message }) => {
        if (logLevel === "Error") logged.push(`${message} ${Cause.pretty(cause)}`)
      })
      let arrive = (_end: () => void): unknown => undefined
      const odd = Transport.layer("odd", {
        section: Address.section("odd", Schema.String),
        reach: () => "device",
        dial: () => Effect.never,
        listen: (data, _, { onArriving }) => {
          arrive = (end) => onArriving(undefined, end)
          return Effect.succeed({ section: new Address.Opaque({ name: "odd", data: `:${data}` }) })
        }
      })
      const ended: Array<string> = []
      yield* Effect.gen(function* () {
        const scope = yield* Scope.make()
        yield* Multiserver.listen("odd:x").pipe(Scope.provide(scope))
        const newcomer = (name: string) => () => {
          ended.push(name)
          throw new Error("a transport's own fault")
        }
        arrive(newcomer("first"))
        arrive(newcomer("second"))
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(ended, ["first", "second"])
        arrive(newcomer("third"))
        yield* TestClock.adjust("10 seconds")
        arrive(newcomer("fourth"))
        arrive(newcomer("fifth"))
        yield* Scope.close(scope, Exit.void)
      }).pipe(
        Effect.provide(Multiserver.layer(["odd"]).pipe(Layer.provide([odd, recorder(events)]))),
        Effect.provide(Logger.layer([logger]))
      )
      assert.deepStrictEqual(ended, ["first", "second", "third", "fourth", "fifth"])
      assert.deepStrictEqual(
        events.map((event) => event._tag === "HandshakeFailed" && event.tag),
        ["TimedOut", "TimedOut", "TimedOut", "Draining", "Draining"]
      )
      assert.strictEqual(logged.length, 5)
      assert.include(logged[0], "a transport's own fault")
    })
  )

  it.effect(
    "that throws when it is asked whether a newcomer has spoken takes no place, and no deadline of the others",
    () =>
      Effect.gen(function* () {
        const events: Array<Events.Event> = []
        const logged: Array<string> = []
        const logger = Logger.make(({ cause, logLevel, message }) => {
          if (logLevel === "Error") logged.push(`${message} ${Cause.pretty(cause)}`)
        })
        let arrive = (_end: () => void, _hasSpoken: () => boolean): Transport.Arriving | undefined => undefined
        const odd = Transport.layer("odd", {
          section: Address.section("odd", Schema.String),
          reach: () => "device",
          dial: () => Effect.never,
          listen: (data, _, { onArriving }) => {
            arrive = (end, hasSpoken) => onArriving("10.0.0.1", end, hasSpoken)
            return Effect.succeed({ section: new Address.Opaque({ name: "odd", data: `:${data}` }) })
          }
        })
        let asked = 0
        const throwing = () => {
          asked++
          throw new Error("a transport's own fault")
        }
        const ended: Array<string> = []
        const comes = (name: string) => arrive(() => ended.push(name), throwing)
        yield* Effect.gen(function* () {
          yield* Multiserver.listen("odd:x")
          for (const [first, second] of ["ab", "cd", "ef"]) {
            assert.isDefined(comes(`${first}`))
            assert.isDefined(comes(`${second}`))
            yield* TestClock.adjust("10 seconds")
          }
          assert.deepStrictEqual(ended, ["a", "b", "c", "d", "e", "f"])
          assert.strictEqual(asked, 6)
          // All places are free again, and a source that has left is asked nothing more.
          const [left, right] = [comes("left"), comes("right")]
          right?.stay()
          left?.gone()
          right?.gone()
          assert.strictEqual(asked, 7)
          assert.isDefined(comes("g"))
          assert.isDefined(comes("h"))
        }).pipe(
          Effect.scoped,
          Effect.provide(
            Multiserver.layer(["odd"]).pipe(
              Layer.provide([odd, recorder(events), Limits.layer({ connections: 2, sourceConnections: 2 })])
            )
          ),
          Effect.provide(Logger.layer([logger]))
        )
        assert.deepStrictEqual(
          events.map((event) => event._tag === "HandshakeFailed" && event.tag),
          [...Array(6).fill("TimedOut"), "Draining", "Draining"]
        )
        assert.strictEqual(logged.length, asked)
        assert.include(logged[0], "a transport's own fault")
      })
  )
})

describe("running a listener", () => {
  const handled = Effect.gen(function* () {
    const served = yield* Deferred.make<void>()
    const handler = () => Effect.andThen(Deferred.succeed(served, undefined), Effect.never)
    return { handler, served: Deferred.await(served) }
  })
  const failure = (error: ListenError) => [error._tag, error.address, error.reason._tag, error.isRetryable]

  for (const target of ["memory:m~shs", "net:127.0.0.1:0~shs"]) {
    it.live(`twice is an error that says so, and the first run goes on: ${target}`, () =>
      Effect.gen(function* () {
        const listener = yield* Multiserver.listen(target)
        const first = yield* Effect.forkScoped(listener.run(echo), { startImmediately: true })
        const error = yield* Effect.flip(listener.run(() => Effect.never))
        assert.deepStrictEqual(failure(error), ["ListenError", target, "AlreadyRunning", false])
        assert.include(error.message, "handler")
        const [address] = listener.addresses()
        yield* exchange(address as Address.Address)
        // Nor does it take one that is interrupted before it has begun.
        const second = yield* Effect.forkChild(listener.run(() => Effect.never))
        yield* Fiber.interrupt(second)
        yield* exchange(address as Address.Address)
        assert.isUndefined(first.pollUnsafe())
        yield* Fiber.interrupt(first)
        const gone = yield* Effect.flip(listener.run(echo))
        assert.deepStrictEqual(failure(gone), ["ListenError", target, "Stopped", false])
        assert.isTrue(Result.isFailure(yield* Effect.result(exchange(address as Address.Address))))
      }).pipe(Effect.provide(multiserver()))
    )
  }

  it.live("is an error once it has begun to stop", () =>
    Effect.gen(function* () {
      const { handler, served } = yield* handled
      const listener = yield* Multiserver.listen("memory:m")
      const first = yield* Effect.forkChild(listener.run(handler))
      yield* Multiserver.dial("memory:m")
      yield* served
      yield* Effect.forkChild(Fiber.interrupt(first))
      yield* listener.draining
      assert.strictEqual((yield* Effect.flip(listener.run(handler))).reason._tag, "Stopped")
      assert.isUndefined(first.pollUnsafe())
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("is an error when its scope is closed before, and ends with that error when it is closed meanwhile", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const [before, meanwhile] = yield* Effect.all([
        Multiserver.listen(["memory:a", "memory:b"]),
        Multiserver.listen("memory:c")
      ]).pipe(Scope.provide(scope))
      const run = yield* Effect.forkChild(Effect.flip(meanwhile.run(echo)), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(failure(yield* Effect.flip(before.run(echo))), [
        "ListenError",
        "memory:a;memory:b",
        "Stopped",
        false
      ])
      assert.strictEqual((yield* Fiber.join(run)).reason._tag, "Stopped")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("that is interrupted at any step has not begun, or has stopped", () =>
    Effect.gen(function* () {
      for (let steps = 3; steps < 40; steps++) {
        const listener = yield* Multiserver.listen("memory:m")
        const run = yield* Effect.forkChild(
          Effect.provideService(listener.run(echo), Scheduler.MaxOpsBeforeYield, steps),
          { startImmediately: true }
        )
        yield* Fiber.interrupt(run)
        const again = yield* Effect.forkChild(Effect.flip(listener.run(echo)), { startImmediately: true })
        const outcome = again.pollUnsafe()
        if (outcome !== undefined) assert.strictEqual((yield* Fiber.join(again)).reason._tag, "Stopped", `${steps}`)
        yield* Fiber.interrupt(again)
      }
    }).pipe(Effect.provide(multiserver()))
  )
})

describe("layerServer", () => {
  it.live("is bound when it is built, and drained when it is released", () =>
    Effect.gen(function* () {
      const multi = yield* Layer.build(multiserver())
      const server = Multiserver.layerServer("memory:m~shs", echo)
      const scope = yield* Scope.make()
      yield* Layer.buildWithScope(server, scope).pipe(Effect.provide(multi))
      const [address] = yield* Effect.scoped(
        Effect.map(Multiserver.listen("memory:other~shs"), (listener) => listener.addresses())
      ).pipe(Effect.provide(multi))
      const target = String(address).replace("other", "m")
      yield* Effect.provide(exchange(target), multi)
      yield* Scope.close(scope, Exit.void)
      const gone = yield* Effect.result(Effect.provide(exchange(target), multi))
      assert.isTrue(Result.isFailure(gone))
    })
  )
})

const quiet = Logger.layer([])
