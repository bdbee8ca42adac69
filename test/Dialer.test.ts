import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Address from "../src/Address.ts"
import { DialError, Other, Refused } from "../src/DialError.ts"
import * as Events from "../src/Events.ts"
import { formatPublicKey, PublicKey } from "../src/Identity.ts"
import * as Limits from "../src/Limits.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Memory from "../src/memory/Memory.ts"
import * as Policy from "../src/Policy.ts"
import * as Resolver from "../src/Resolver.ts"
import * as Transform from "../src/Transform.ts"
import * as Transport from "../src/Transport.ts"
import { primitives } from "./support/primitives.ts"
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
  turns
} from "./support/servers.ts"

const somebody = formatPublicKey(PublicKey.make(primitives.ed25519KeyPair(pattern(32)).publicKey))

/** A TCP server that accepts and says nothing. */
const silent = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly sockets: Set<net.Socket>; readonly server: net.Server }>(
    (resume) => {
      const sockets = new Set<net.Socket>()
      const server = net.createServer((socket) => {
        sockets.add(socket)
        socket.on("error", () => {})
        socket.on("close", () => sockets.delete(socket))
        socket.resume()
      })
      server.listen(0, "127.0.0.1", () => {
        resume(Effect.succeed({ port: (server.address() as net.AddressInfo).port, sockets, server }))
      })
    }
  ),
  ({ server, sockets }) =>
    Effect.sync(() => {
      server.close()
      for (const socket of sockets) socket.destroy()
    })
)

const reasonOf = (error: Address.AddressError | DialError): string => error.reason._tag

describe("dial", () => {
  it.live("fails with the address and a reason that says whether a retry can help", () =>
    Effect.gen(function* () {
      const { port, server } = yield* silent
      server.close()
      const cases: ReadonlyArray<readonly [string, string, boolean]> = [
        [`net:127.0.0.1:${port}~shs:${somebody}`, "Refused", true],
        [`net:name.invalid:1~shs:${somebody}`, "NameNotFound", false],
        [`ws://127.0.0.1~shs:${somebody}`, "Unsupported", false],
        ["net:127.0.0.1:1~shs", "NotDialable", false],
        [`net:127.0.0.1:0~shs:${somebody}`, "NotDialable", false],
        ["memory:nobody", "Refused", true]
      ]
      for (const [address, expected, retryable] of cases) {
        const error = yield* Effect.flip(Multiserver.dial(address))
        // A resolver that can't be asked says so, and then a retry can help.
        const noResolver = expected === "NameNotFound" && error.message.includes("EAI_AGAIN")
        assert.strictEqual(reasonOf(error), expected, address)
        assert.strictEqual(error.isRetryable, retryable || noResolver, address)
        assert.strictEqual(error._tag === "DialError" ? error.address : "", address)
        assert.isAbove(error.message.length, address.length)
      }
      const bad = yield* Effect.flip(Multiserver.dial("net:127.0.0.1:99999"))
      assert.strictEqual(bad._tag, "AddressError")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("speaks no more than its stacks: sections match one by one, and none goes missing", () =>
    Effect.gen(function* () {
      const { port } = yield* silent
      for (const stack of ["", "~shs:KEY~shs:KEY", "~noauth", "~shs:KEY~noauth", "~other"]) {
        const address = `net:127.0.0.1:${port}${stack.replaceAll("KEY", somebody)}`
        const only = Multiserver.layer(["net~shs"]).pipe(Layer.provide(protocols()))
        const error = yield* Effect.flip(Multiserver.dial(address)).pipe(Effect.provide(only))
        assert.strictEqual(reasonOf(error), "Unsupported", address)
        assert.include(error.message, "net~shs")
      }
    })
  )

  it.live("takes the next address when one fails, and tells of each when all do", () =>
    Effect.gen(function* () {
      const [address] = yield* served("memory:m~shs", echo)
      const dead = `memory:nobody~shs:${somebody}`
      const list = `ws://127.0.0.1:1~shs:${somebody};${dead};${address}`
      const connection = yield* Multiserver.dial(list)
      yield* Effect.andThen(connection.write(pattern(10)), connection.end)
      assert.isTrue(sameBytes(yield* readAll(connection), pattern(10)))

      const all = yield* Effect.flip(Multiserver.dial(`${dead};${dead}`))
      assert.isTrue(all.reason._tag === "AllFailed" && all.isRetryable)
      if (all.reason._tag === "AllFailed") {
        assert.deepStrictEqual(
          all.reason.attempts.map((attempt) => [attempt.address, attempt.reason._tag]),
          [
            [dead, "Refused"],
            [dead, "Refused"]
          ]
        )
      }
      // One that was tried, among others that are not spoken: its reason is the reason.
      const one = yield* Effect.flip(Multiserver.dial(`ws://127.0.0.1:1~shs:${somebody};${dead}`))
      assert.strictEqual(reasonOf(one), "Refused")
      const first = yield* Effect.flip(
        Multiserver.dial(`ws://127.0.0.1:1~shs:${somebody};${dead};${address}`, { plan: "firstUnderstood" })
      )
      assert.strictEqual(reasonOf(first), "Refused")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("lets catchReason reach in, and survives encoding", () =>
    Effect.gen(function* () {
      const address = `memory:nobody~shs:${somebody}`
      const caught = yield* Multiserver.dial(address).pipe(
        Effect.as("connected"),
        Effect.catchReason("DialError", "Refused", () => Effect.succeed("refused"))
      )
      assert.strictEqual(caught, "refused")
      const error = yield* Effect.flip(Multiserver.dial(`${address};${address}`))
      const codec = Schema.toCodecJson(DialError)
      if (error._tag !== "DialError") return assert.fail("not a DialError")
      const back = yield* Schema.decodeUnknownEffect(codec)(
        JSON.parse(JSON.stringify(yield* Schema.encodeEffect(codec)(error)))
      )
      assert.strictEqual(back.message, error.message)
      assert.strictEqual(back.isRetryable, error.isRetryable)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("dies of what its resolver throws, with an event that says what it was doing", () =>
    Effect.gen(function* () {
      const bug = new Error("the resolver has a bug")
      for (const resolve of [
        () => {
          throw bug
        },
        () => [Effect.die(bug)]
      ] satisfies ReadonlyArray<Resolver.Resolve>) {
        const events: Array<Events.Event> = []
        const live = Multiserver.layer(["net~shs"]).pipe(
          Layer.provide(protocols()),
          Layer.provide([recorder(events), Layer.succeed(Resolver.Resolver, resolve)])
        )
        const exit = yield* Multiserver.dial(`net:name.example:1~shs:${somebody}`).pipe(
          Effect.scoped,
          Effect.provide(live),
          Effect.exit
        )
        assert.isTrue(Exit.hasDies(exit))
        const [event] = events
        assert.lengthOf(events, 1)
        const reason = event?._tag === "DialFailed" ? event.error.reason : assert.fail(String(event?._tag))
        assert.isTrue(reason._tag === "Defect" && reason.phase === "lookup" && reason.cause === bug)
        assert.include(reason.message, "in the code of the resolver")
      }
    })
  )

  it.effect("says, when its own timeout has passed, which addresses had failed by then", () =>
    Effect.gen(function* () {
      const layer = Multiserver.layer(["slow"]).pipe(
        Layer.provide(
          Transport.layer("slow", {
            section: Address.section("slow", Schema.String),
            reach: () => "device",
            dial: (name) =>
              name === "full"
                ? Effect.fail(new Other({ code: "Quota", detail: "pay first", isRetryable: false }))
                : Effect.never
          })
        )
      )
      const fiber = yield* Effect.forkChild(
        Effect.flip(Multiserver.dial("slow:full;slow:mute", { timeout: "3 seconds" })).pipe(
          Effect.scoped,
          Effect.provide(layer)
        )
      )
      yield* TestClock.adjust("3 seconds")
      const { message, reason } = yield* Fiber.join(fiber)
      const before = [{ address: "slow:full", tag: "Other", message: "pay first (Quota)" }]
      assert.deepInclude(reason, { _tag: "TimedOut", phase: "dial", before })
      assert.include(message, "no finished dial within 3000 ms; slow:full: pay first (Quota)")
    })
  )

  it.effect("fails for its own reason, and in one event, however slow a sink of events is", () =>
    Effect.gen(function* () {
      const events: Array<Events.Event> = []
      const slow: Events.Sink = (event) =>
        Effect.delay(
          Effect.sync(() => void events.push(event)),
          "900 millis"
        )
      const layer = Multiserver.layer(["memory"]).pipe(Layer.provide([Memory.layer(), Events.layer(slow)]))
      const fiber = yield* Effect.forkChild(
        Effect.flip(Multiserver.dial("memory:nobody", { timeout: "100 millis" })).pipe(
          Effect.scoped,
          Effect.provide(layer)
        )
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "Refused")
      assert.lengthOf(events, 1)
    })
  )

  const throwing = (place: "notDialable" | "dial") =>
    Multiserver.layer(["odd", "memory"]).pipe(
      Layer.provide([
        Memory.layer(),
        Transport.layer("odd", {
          section: Address.section("odd", Schema.String),
          reach: () => "device",
          cost: 0,
          notDialable: () => {
            if (place === "notDialable") throw new Error("the author's fault")
            return undefined
          },
          dial: () => {
            throw new Error("the author's fault")
          }
        })
      ])
    )

  it.live.each(["notDialable", "dial"] as const)("takes no other address away when the %s of one throws", (place) =>
    Effect.gen(function* () {
      const [address] = yield* served("memory:m", echo)
      for (const plan of ["inOrder", "race"] as const) {
        const connection = yield* Effect.scoped(Multiserver.dial(`odd:x;${address}`, { plan }))
        assert.strictEqual(String(connection.remote), String(address), plan)
      }
      const alone = yield* Effect.exit(Effect.scoped(Multiserver.dial("odd:x")))
      assert.include(String(Exit.isFailure(alone) && alone.cause), "the author's fault")
    }).pipe(Effect.scoped, Effect.provide(throwing(place)))
  )

  it.effect("tries each address once, also when the code of the last one throws", () =>
    Effect.gen(function* () {
      const tried: Array<unknown> = []
      const odd = Transport.layer("odd", {
        section: Address.section("odd", Schema.String),
        reach: () => "device",
        dial: (name) => {
          tried.push(name)
          return name === "throws" ? Effect.die(new Error("the author's fault")) : Effect.fail(new Refused())
        }
      })
      const exit = yield* Effect.exit(Multiserver.dial("odd:a;odd:b;odd:throws;odd:c;odd:throws")).pipe(
        Effect.scoped,
        Effect.provide(Multiserver.layer(["odd"]).pipe(Layer.provide(odd)))
      )
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.deepStrictEqual(tried, ["a", "b", "throws", "c", "throws"])
    })
  )

  it.effect("gives up on all addresses together when its own timeout has passed, with one event", () =>
    Effect.gen(function* () {
      const opened: Array<string> = []
      const slow = Transport.layer("slow", {
        section: Address.section("slow", Schema.String),
        reach: () => "device",
        dial: () =>
          Effect.acquireRelease(
            Effect.sync(() => void opened.push("open")),
            () => Effect.sync(() => void opened.pop())
          ).pipe(Effect.andThen(Effect.sleep("4 seconds")), Effect.andThen(Effect.fail(new Refused())))
      })
      const events: Array<Events.Event> = []
      const layer = Multiserver.layer(["slow"]).pipe(Layer.provide([slow, recorder(events)]))
      yield* Effect.gen(function* () {
        for (const plan of ["inOrder", "race"] as const) {
          const dial = Multiserver.dial("slow;slow;slow", { plan, timeout: "3 seconds" })
          const fiber = yield* Effect.forkChild(Effect.flip(dial))
          yield* TestClock.adjust("2999 millis")
          assert.isUndefined(fiber.pollUnsafe())
          yield* TestClock.adjust("1 millis")
          const { reason } = yield* Fiber.join(fiber)
          assert.isTrue(reason._tag === "TimedOut" && reason.phase === "dial" && reason.millis === 3000, plan)
          assert.deepStrictEqual(opened, [], plan)
        }
        assert.deepStrictEqual(
          events.map(({ _tag }) => _tag),
          ["DialFailed", "DialFailed"]
        )
      }).pipe(Effect.scoped, Effect.provide(layer))
    })
  )

  it.effect("gives up on a transport that does not connect within 6 seconds", () =>
    Effect.gen(function* () {
      const never = Transport.layer("never", {
        section: Address.section("never", Schema.String),
        reach: () => "device",
        dial: () => Effect.never
      })
      const layer = Multiserver.layer(["never"]).pipe(Layer.provide(never))
      yield* Effect.gen(function* () {
        const connect = yield* Effect.forkChild(Effect.flip(Multiserver.dial("never")))
        yield* TestClock.adjust("5999 millis")
        assert.isUndefined(connect.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        const error = yield* Fiber.join(connect)
        assert.isTrue(error.reason._tag === "TimedOut" && error.reason.phase === "connect")
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("ends the time to connect when it is over, also when the look-up before it had more time", () =>
    Effect.gen(function* () {
      const slow = Transform.layer("slow", {
        section: Address.section("slow", Schema.Literal("")),
        authenticates: false,
        outbound: () => Effect.never,
        inbound: Effect.succeed
      })
      const named = Transport.layer("named", {
        section: Address.section("named", Schema.String),
        reach: () => "device",
        dial: (_, { lookingUp }) => Effect.andThen(lookingUp(Effect.sleep("2 seconds")), Effect.never)
      })
      const context = yield* Layer.build(
        Multiserver.layer(["named", "memory~slow"]).pipe(Layer.provide([named, slow, Memory.layer()]))
      )
      const endsAfter = (millis: number, phase: string, dial: Effect.Effect<unknown, unknown>) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(Effect.flip(dial))
          yield* TestClock.adjust(millis - 1)
          assert.isUndefined(fiber.pollUnsafe(), phase)
          yield* TestClock.adjust(1)
          const error = yield* Fiber.join(fiber)
          assert.isTrue(error instanceof DialError && error.reason._tag === "TimedOut" && error.reason.phase === phase)
        })
      const dial = (address: string, timeouts: Multiserver.Timeouts) =>
        Effect.scoped(Multiserver.dial(address, { timeouts })).pipe(Effect.provide(context))
      yield* endsAfter(3000, "connect", dial("named", { lookup: "10 seconds", connect: "1 second" }))
      yield* endsAfter(1000, "lookup", dial("named", { lookup: "1 second", connect: "10 seconds" }))
      yield* Effect.gen(function* () {
        yield* served("memory:m~slow", echo)
        yield* endsAfter(20_000, "handshake", dial("memory:m~slow", { connect: "1 second", handshake: "20 seconds" }))
      }).pipe(Effect.provide(context))
    })
  )

  it.live("sets a timer for each phase and no more, however short another phase may be", () =>
    Effect.gen(function* () {
      const { port } = yield* silent
      const clock = yield* Clock.clockWith(Effect.succeed)
      let timers = 0
      const counting: Clock.Clock = {
        currentTimeMillis: clock.currentTimeMillis,
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
        currentTimeNanos: clock.currentTimeNanos,
        currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
        monotonicTimeNanos: clock.monotonicTimeNanos,
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
        sleep: (duration) => {
          timers++
          return clock.sleep(duration)
        }
      }
      const error = yield* Multiserver.dial(`net:127.0.0.1:${port}~shs:${somebody}`, {
        timeouts: { lookup: 0, handshake: "300 millis" }
      }).pipe(Effect.flip, Effect.provideService(Clock.Clock, counting))
      assert.isTrue(error.reason._tag === "TimedOut" && error.reason.phase === "handshake")
      // One more where the system's timer rings a little early.
      assert.isAtMost(timers, 3)
    }).pipe(
      Effect.provide(
        Multiserver.layer(["net~shs"]).pipe(
          Layer.provide(protocols()),
          Layer.provide(Limits.layer({ dialWait: Duration.zero }))
        )
      )
    )
  )

  it.effect("counts the handshake's deadline in total, however the peer drips", () =>
    Effect.gen(function* () {
      // Bare memory serves as a peer that never finishes an shs handshake, and sends a byte a second.
      const context = yield* Layer.build(multiserver())
      yield* Effect.gen(function* () {
        yield* served("memory:m", (connection) =>
          Effect.forever(Effect.andThen(connection.write(Uint8Array.of(7)), Effect.sleep("1 second")))
        )
        const dial = yield* Effect.forkChild(Effect.flip(Multiserver.dial(`memory:m~shs:${somebody}`)))
        for (let second = 0; second < 10; second++) {
          yield* turn
          assert.isUndefined(dial.pollUnsafe())
          yield* TestClock.adjust("1 second")
        }
        yield* turn
        const error = yield* Fiber.join(dial)
        assert.isTrue(error.reason._tag === "TimedOut" && error.reason.phase === "handshake")
        assert.isTrue(error.isRetryable)
      }).pipe(Effect.provide(context))
    })
  )

  it.live("destroys its socket when interrupted, in the name lookup, the connect and the handshake", () =>
    Effect.gen(function* () {
      const { port, sockets } = yield* silent
      const dial = yield* Effect.forkChild(Multiserver.dial(`net:localhost:${port}~shs:${somebody}`))
      yield* Effect.repeat(Effect.sleep(1), { until: () => sockets.size === 1 })
      yield* Fiber.interrupt(dial)
      yield* Effect.repeat(Effect.sleep(1), { until: () => sockets.size === 0 })
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(dial)))
      // At once: nothing has been looked up yet.
      const early = yield* Effect.forkChild(Multiserver.dial(`net:localhost:${port}~shs:${somebody}`), {
        startImmediately: true
      })
      yield* Fiber.interrupt(early)
      yield* turns
      assert.strictEqual(sockets.size, 0)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live(
    "works from a method of a service whose layers are given by Layer.provide, and obeys the policy given there",
    () =>
      Effect.gen(function* () {
        class Gossip extends Context.Service<
          Gossip,
          { readonly hello: (address: string) => Effect.Effect<Uint8Array, string> }
        >()("test/Gossip") {
          static readonly layer = Layer.effect(
            Gossip,
            Effect.gen(function* () {
              const multiserver = yield* Multiserver.Multiserver
              return {
                hello: (address) =>
                  multiserver.dial(address).pipe(
                    Effect.tap((connection) => Effect.andThen(connection.write(pattern(5)), connection.end)),
                    Effect.flatMap(readAll),
                    Effect.scoped,
                    Effect.mapError((error) => error.reason._tag)
                  )
              }
            })
          )
        }
        const [address] = yield* served("net:127.0.0.1:0~shs", echo)
        const outcome = (policy: Partial<Policy.PolicyRules>) =>
          Gossip.use((gossip) => gossip.hello(String(address))).pipe(
            Effect.provide(
              Gossip.layer.pipe(
                Layer.provide(multiserver()),
                Layer.provide(Layer.succeed(Policy.Policy, { ...Policy.allowAll, ...policy }))
              )
            ),
            Effect.result
          )
        const allowed = yield* outcome({})
        assert.isTrue(Result.isSuccess(allowed) && sameBytes(allowed.success, pattern(5)))
        assert.deepStrictEqual(yield* outcome({ mayDial: () => false }), Result.fail("DeniedByPolicy"))
        assert.deepStrictEqual(yield* outcome({ mayDialIp: (ip) => ip !== "127.0.0.1" }), Result.fail("DeniedByPolicy"))
      }).pipe(Effect.provide(multiserver()))
  )

  it.live("asks the policy for each resolved IP", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const policy = Layer.succeed(Policy.Policy, {
        ...Policy.allowAll,
        mayDialIp: (ip: string) => {
          asked.push(ip)
          return false
        }
      })
      const error = yield* Effect.flip(Multiserver.dial(`net:localhost:1~shs:${somebody}`)).pipe(
        Effect.provide(multiserver().pipe(Layer.provide(policy)))
      )
      assert.strictEqual(reasonOf(error), "DeniedByPolicy")
      assert.include(asked, "127.0.0.1")
    })
  )

  it.live("emits one event when it connects and one when it is over, or one for a dial that failed", () =>
    Effect.gen(function* () {
      const events: Array<Events.Event> = []
      yield* Effect.gen(function* () {
        const [address] = yield* served("memory:m~shs", echo)
        yield* Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* Multiserver.dial(address as Address.Address)
            yield* Effect.andThen(connection.write(pattern(10)), connection.end)
            yield* readAll(connection)
          })
        )
        yield* Effect.flip(Multiserver.dial("memory:nobody"))
      }).pipe(Effect.provide(multiserver().pipe(Layer.provide(recorder(events)))))
      const own = events.filter((event) => event._tag === "DialFailed" || ("role" in event && event.role === "dial"))
      assert.deepStrictEqual(
        own.map((event) => event._tag),
        ["Connected", "Closed", "DialFailed"]
      )
      const closed = own[1]
      if (closed?._tag !== "Closed") return assert.fail("not closed")
      assert.deepStrictEqual([closed.bytesRead, closed.bytesWritten, closed.tag], [10, 10, "end"])
      assert.strictEqual(closed.stack, "memory~shs")
      assert.match(closed.remote, /^memory:m~shs:/)
    })
  )
})
