/** In which order addresses are tried, in virtual time; and once for real. */
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Address from "../src/Address.ts"
import { Refused } from "../src/DialError.ts"
import type { DialPlan } from "../src/Dialer.ts"
import type * as Events from "../src/Events.ts"
import { HandshakeError, PeerMisbehaved } from "../src/HandshakeError.ts"
import * as Link from "../src/Link.ts"
import * as Multiserver from "../src/Multiserver.ts"
import { memoryPair } from "../src/memory/memoryPort.ts"
import { Anonymous } from "../src/Peer.ts"
import * as Policy from "../src/Policy.ts"
import * as Transform from "../src/Transform.ts"
import * as Transport from "../src/Transport.ts"
import { multiserver, recorder, served, turn } from "./support/servers.ts"

/**
 * `slow:NAME,CONNECT,HANDSHAKE`: connects after so many milliseconds, and with `~h` finishes its handshake after so
 * many; `x` is never, `d` is a defect, `i` an interruption of itself, and an `f` behind a number a failure then.
 */
const script = (started: number) => {
  const log: Array<string> = []
  const elapsed = Effect.map(Clock.currentTimeMillis, (now) => now - started)
  const wait = <E>(what: string, text: string, error: E) =>
    Effect.gen(function* () {
      log.push(`${yield* elapsed} ${what}`)
      if (text === "x") return yield* Effect.never
      if (text === "d") return yield* Effect.die(new Error("scripted"))
      if (text === "i") return yield* Effect.interrupt
      yield* Effect.sleep(Number(text.replace("f", "")))
      if (text.endsWith("f")) return yield* Effect.fail(error)
    }).pipe(Effect.onInterrupt(() => Effect.map(elapsed, (millis) => void log.push(`${millis} ${what} ended`))))
  const parts = (text: string) => text.split(",") as [string, string, string]
  const transport = Transport.layer("slow", {
    section: Address.section("slow", Schema.String),
    reach: () => "device",
    dial: (text) =>
      Effect.gen(function* () {
        const [name, connect] = parts(text)
        yield* wait(`${name} connect`, connect, new Refused())
        const [near] = memoryPair()
        yield* Effect.addFinalizer(() => Effect.sync(() => void log.push(`${name} closed`)))
        const remote = new Address.Address({
          transport: new Address.Opaque({ name: "slow", data: `:${text}` }),
          transforms: []
        })
        return yield* Link.make(near, { remote, peer: new Anonymous() })
      })
  })
  const misbehaved = new HandshakeError({
    protocol: "h",
    phase: "h",
    reason: new PeerMisbehaved({ detail: "scripted" })
  })
  const upgrade: Transform.Wrap = (connection) =>
    Effect.gen(function* () {
      const [name, , handshake] = parts(String(connection.remote).slice("slow:".length))
      yield* wait(`${name} handshake`, handshake, misbehaved)
      return connection
    })
  const shs: Transform.Definition<Address.Shs> = {
    section: Schema.toType(Address.Shs),
    authenticates: true,
    outbound: upgrade,
    inbound: upgrade
  }
  const layer = Multiserver.layer(["slow~shs"]).pipe(Layer.provide([transport, Transform.layer("shs", shs)]))
  return { log, layer, elapsed }
}

const key = "A".repeat(43)
const seed = `:${"B".repeat(42)}A`
const address = (name: string, connect: string, handshake: string, secret = "") =>
  `slow:${name},${connect},${handshake}~shs:${key}${secret}`

/** Dials in virtual time; what happened, and who won or why nobody did. */
const dial = (addresses: ReadonlyArray<string>, plan: "inOrder" | "race") =>
  Effect.gen(function* () {
    const { elapsed, layer, log } = script(yield* Clock.currentTimeMillis)
    const events: Array<Events.Event> = []
    const outcome = yield* Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(
        Multiserver.dial(addresses, { plan }).pipe(
          Effect.flatMap((connection) =>
            Effect.map(elapsed, (now) => `${now} ${/slow:(\w+)/.exec(String(connection.remote))?.[1]}`)
          ),
          Effect.catch((error) => Effect.succeed(error.message))
        )
      )
      for (let i = 0; i < 200 && fiber.pollUnsafe() === undefined; i++) {
        yield* TestClock.adjust("50 millis")
        // What happens at this moment takes several turns of fibers that wake one another.
        for (let j = 0; j < 20; j++) yield* turn
      }
      return yield* Fiber.join(fiber)
    }).pipe(Effect.provide(layer.pipe(Layer.provide(recorder(events)))))
    return { outcome, log, events }
  })

describe("dial plans", () => {
  it.effect("inOrder gives a silent address its 6 seconds, and then the next its own", () =>
    Effect.gen(function* () {
      const { outcome, events } = yield* dial([address("a", "x", "0"), address("b", "1000", "500")], "inOrder")
      assert.strictEqual(outcome, "7500 b")
      const connected = events.find((event) => event._tag === "Connected")
      assert.deepStrictEqual(connected?._tag === "Connected" ? connected.failed.map((each) => each.reason._tag) : [], [
        "TimedOut"
      ])
    })
  )

  it.effect("race begins the next after 250 ms, or at once when one has failed", () =>
    Effect.gen(function* () {
      const { outcome, log } = yield* dial(
        [address("a", "x", "0"), address("b", "100f", "0"), address("c", "200", "100")],
        "race"
      )
      // a at 0; b at 250, refused at 350; c at 350, connected at 550, done at 650.
      assert.strictEqual(outcome, "650 c")
      assert.includeMembers(log, [
        "0 a connect",
        "250 b connect",
        "350 c connect",
        "550 c handshake",
        "650 a connect ended"
      ])
    })
  )

  it.effect("race lets one at a time into its handshake, the next after its failure or a second", () =>
    Effect.gen(function* () {
      const stuck = yield* dial([address("a", "0", "x"), address("b", "0", "300")], "race")
      assert.strictEqual(stuck.outcome, "1300 b")
      assert.includeMembers(stuck.log, ["0 a handshake", "1000 b handshake", "1300 a handshake ended", "a closed"])
      const failing = yield* dial([address("a", "0", "400f"), address("b", "0", "300")], "race")
      assert.strictEqual(failing.outcome, "700 b")
      assert.includeMembers(failing.log, ["400 b handshake", "a closed"])
    })
  )

  it.effect("race never lets another into its handshake beside an address with a seed", () =>
    Effect.gen(function* () {
      const first = yield* dial([address("a", "0", "2000f", seed), address("b", "0", "100")], "race")
      assert.strictEqual(first.outcome, "2100 b")
      assert.includeMembers(first.log, ["2000 b handshake"])
      const second = yield* dial([address("a", "0", "3000f"), address("b", "0", "100", seed)], "race")
      assert.strictEqual(second.outcome, "3100 b")
      assert.includeMembers(second.log, ["3000 b handshake"])
    })
  )

  it.effect("race tells of each address when all have failed", () =>
    Effect.gen(function* () {
      const { outcome } = yield* dial([address("a", "100f", "0"), address("b", "0", "100f")], "race")
      assert.match(outcome, /all 2 addresses failed/)
      assert.match(outcome, /a,100f.*connection refused/)
      assert.match(outcome, /b,0,100f.*scripted/)
    })
  )

  it.effect("race goes on to the others when an attempt dies, and dies of it when all the others fail", () =>
    Effect.gen(function* () {
      const interrupted = yield* dial([address("a", "i", "0"), address("b", "100", "100")], "race")
      assert.strictEqual(interrupted.outcome, "200 b")
      const won = yield* dial([address("a", "d", "0"), address("b", "100", "100")], "race")
      assert.strictEqual(won.outcome, "200 b")
      const lost = yield* Effect.exit(dial([address("a", "d", "0"), address("b", "100f", "0")], "race"))
      assert.isTrue(Exit.isFailure(lost) && Cause.hasDies(lost.cause))
    })
  )

  it.live("a plan of one's own chooses among the addresses that are understood", () =>
    Effect.gen(function* () {
      const [first] = yield* served("memory:a", () => Effect.never)
      const [second] = yield* served("memory:b", () => Effect.never)
      const seen: Array<string> = []
      const connection = yield* Multiserver.dial([`ws://h`, String(first), String(second)], {
        plan: (understood) => {
          seen.push(...understood.map(String))
          return understood.toReversed()
        }
      })
      assert.deepStrictEqual(seen, ["memory:a", "memory:b"])
      assert.strictEqual(String(connection.remote), "memory:b")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("for real: the first hangs, the second refuses, the third wins, and nothing is left of the others", () =>
    Effect.gen(function* () {
      const sockets = new Set<net.Socket>()
      const hanging = yield* Effect.acquireRelease(
        Effect.callback<net.Server>((resume) => {
          const server = net.createServer((socket) => {
            sockets.add(socket)
            socket.on("error", () => {})
            socket.on("close", () => sockets.delete(socket))
            socket.resume()
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const port = (hanging.address() as net.AddressInfo).port
      const [third] = yield* served("net:127.0.0.1:0~shs", () => Effect.never)
      const bytes = String(third).replace(/^.*~shs:/, "")
      const connection = yield* Multiserver.dial(
        [`net:127.0.0.1:${port}~shs:${bytes}`, `net:127.0.0.1:1~shs:${bytes}`, String(third)],
        { plan: "race" }
      )
      assert.strictEqual(String(connection.remote), String(third))
      yield* Effect.repeat(Effect.sleep(1), { until: () => sockets.size === 0 })
    }).pipe(Effect.provide(multiserver()))
  )
})

describe("somebody sets the machine's clock", () => {
  /** The clock of the test, which `set` puts wrong by so much. Time that only goes forward goes on. */
  const settable = Effect.map(Clock.Clock, (clock) => {
    let off = 0
    const millis = () => clock.currentTimeMillisUnsafe() + off
    const nanos = () => clock.currentTimeNanosUnsafe() + BigInt(off) * 1_000_000n
    const own: Clock.Clock = {
      ...clock,
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos)
    }
    return {
      clock: own,
      set: (hours: number) => {
        off = hours * 3_600_000
      }
    }
  })

  /** After how many milliseconds the dial is over, and what it says of itself. */
  const over = (target: string, plan: "inOrder" | "race", hours: number) =>
    Effect.gen(function* () {
      const { clock, set } = yield* settable
      const events: Array<Events.Event> = []
      const { layer } = script(0)
      const targets = plan === "race" ? [target, target] : [target]
      return yield* Effect.gen(function* () {
        const dial = yield* Effect.forkChild(Effect.exit(Effect.scoped(Multiserver.dial(targets, { plan }))), {
          startImmediately: true
        })
        let passed = 0
        while (dial.pollUnsafe() === undefined && passed < 60_000) {
          if (passed === 500) set(hours)
          for (let i = 0; i < 5; i++) yield* turn
          yield* TestClock.adjust("50 millis")
          for (let i = 0; i < 20; i++) yield* turn
          passed += 50
        }
        const said = events.flatMap((event) => {
          if (event._tag === "DialFailed") return [event.millis]
          return event._tag === "Connected" ? [event.millis, event.connectMillis] : []
        })
        return { passed, said }
      }).pipe(Effect.provide(layer.pipe(Layer.provide(recorder(events)))), Effect.provideService(Clock.Clock, clock))
    })

  for (const hours of [1, -1]) {
    it.effect(`by ${hours} h: no deadline comes sooner or later, and durations stay what they are`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* over(address("a", "x", "0"), "inOrder", hours), { passed: 6000, said: [6000] })
        assert.deepStrictEqual(yield* over(address("a", "0", "x"), "inOrder", hours), {
          passed: 10_000,
          said: [10_000]
        })
        assert.deepStrictEqual(yield* over(address("a", "1000", "1000"), "inOrder", hours), {
          passed: 2000,
          said: [2000, 1000]
        })
        // The second one begins 250 ms after the first.
        assert.deepStrictEqual(yield* over(address("a", "x", "0"), "race", hours), { passed: 6250, said: [6250] })
        assert.deepStrictEqual(yield* over(address("a", "1000", "800"), "race", hours), {
          passed: 1800,
          said: [1800, 1000]
        })
      })
    )
  }
})

describe("a dial where nothing can be tried", () => {
  const plans: ReadonlyArray<readonly [string, DialPlan]> = [
    ["inOrder", "inOrder"],
    ["race", "race"],
    ["firstUnderstood", "firstUnderstood"],
    ["one of its own", (understood) => understood]
  ]
  const nothing: DialPlan = () => []
  /** Fails before any time has passed, with the reason of each address. */
  const failsAtOnce = (
    addresses: ReadonlyArray<string>,
    plan: DialPlan,
    policy: Partial<Policy.PolicyRules> = {}
  ): Effect.Effect<ReadonlyArray<string>> =>
    Effect.gen(function* () {
      const { layer } = script(0)
      const events: Array<Events.Event> = []
      const fiber = yield* Effect.forkChild(
        Effect.flip(Effect.scoped(Multiserver.dial(addresses, { plan }))).pipe(
          Effect.provide(layer),
          Effect.provide([recorder(events), Layer.succeed(Policy.Policy, { ...Policy.allowAll, ...policy })])
        )
      )
      for (let i = 0; i < 100 && fiber.pollUnsafe() === undefined; i++) yield* turn
      assert.isDefined(fiber.pollUnsafe(), "it has not failed at once")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error._tag, "DialError")
      if (error._tag !== "DialError") return []
      assert.deepStrictEqual(
        events.map(({ _tag }) => _tag),
        ["DialFailed"]
      )
      const { reason } = error
      const attempts = reason._tag === "AllFailed" ? reason.attempts : [{ address: error.address, reason }]
      assert.deepStrictEqual(
        attempts.map((attempt) => attempt.address),
        addresses
      )
      for (const attempt of attempts) assert.include(error.message, attempt.reason.message)
      return attempts.map((attempt) => attempt.reason._tag)
    }).pipe(Effect.orDie)

  const unspoken = ["net:h:1", "ws://h"]
  const spoken = ["a", "b"].map((name) => address(name, "0", "0").replace(key, `${key}=`))

  for (const [name, plan] of plans) {
    it.effect(`fails at once when no stack is spoken: ${name}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* failsAtOnce(unspoken, plan), ["Unsupported", "Unsupported"])
        assert.deepStrictEqual(yield* failsAtOnce(unspoken.slice(1), plan), ["Unsupported"])
      })
    )

    it.effect(`fails at once when policy denies all: ${name}`, () =>
      Effect.gen(function* () {
        const policy = { mayDial: () => false }
        assert.deepStrictEqual(yield* failsAtOnce(spoken, plan, policy), ["DeniedByPolicy", "DeniedByPolicy"])
      })
    )

    it.effect(`fails at once when the order of the policy leaves nothing: ${name}`, () =>
      Effect.gen(function* () {
        const policy = { order: () => [] }
        assert.deepStrictEqual(yield* failsAtOnce(spoken, plan, policy), ["DeniedByPolicy", "DeniedByPolicy"])
        assert.deepStrictEqual(yield* failsAtOnce(spoken.slice(1), plan, policy), ["DeniedByPolicy"])
      })
    )
  }

  it.effect("fails at once when a plan of one's own leaves nothing, or addresses that nobody gave it", () =>
    Effect.gen(function* () {
      const others: DialPlan = () => Result.getOrThrow(Address.parse(spoken.join(";")))
      for (const plan of [nothing, others]) {
        assert.deepStrictEqual(yield* failsAtOnce(spoken, plan), ["NotDialable", "NotDialable"])
        assert.deepStrictEqual(yield* failsAtOnce(["net:h:1", ...spoken], plan), [
          "Unsupported",
          "NotDialable",
          "NotDialable"
        ])
      }
    })
  )

  it.effect("tells of what was left out beside what was tried", () =>
    Effect.gen(function* () {
      const { layer } = script(0)
      const policy = Layer.succeed(Policy.Policy, {
        ...Policy.allowAll,
        order: (understood: ReadonlyArray<Address.Address>) => understood.slice(0, 2)
      })
      const names = ["a", "b", "c"].map((name) => address(name, "0f", "0"))
      const fiber = yield* Effect.forkChild(
        Effect.flip(Effect.scoped(Multiserver.dial(names))).pipe(Effect.provide(layer), Effect.provide(policy))
      )
      yield* TestClock.adjust("1 second")
      const { reason } = yield* Fiber.join(fiber)
      const tags = reason._tag === "AllFailed" ? reason.attempts.map((attempt) => attempt.reason._tag) : []
      assert.deepStrictEqual(tags.toSorted(), ["DeniedByPolicy", "Refused", "Refused"])
    })
  )
})
