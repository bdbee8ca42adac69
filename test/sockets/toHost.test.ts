/** How a name is dialed: RFC 8305 by numbers, with sockets that the test connects and a clock that it holds. */
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { NameNotFound } from "../../src/DialError.ts"
import type { Resolve } from "../../src/Resolver.ts"
import { type ToHostOptions, toHost } from "../../src/sockets/toHost.ts"

/** What an address does once it is dialed. */
type Kind = "good" | "slow" | "refused" | "unreachable" | "dead"

const outcomes: Record<Kind, { readonly millis: number; readonly code?: string }> = {
  good: { millis: 20 },
  /** The first packet was lost. */
  slow: { millis: 1020 },
  refused: { millis: 20, code: "ECONNREFUSED" },
  unreachable: { millis: 20, code: "ENETUNREACH" },
  dead: { millis: Number.POSITIVE_INFINITY }
}

/** A socket to nowhere that does what the test says. */
const scripted = (kind: Kind): Effect.Effect<net.Socket> =>
  Effect.gen(function* () {
    const socket = new net.Socket()
    const { code, millis } = outcomes[kind]
    yield* Effect.forkDetach(
      Effect.andThen(
        Effect.sleep(millis),
        Effect.sync(() => {
          if (socket.destroyed) return
          if (code === undefined) socket.emit("connect")
          else socket.destroy(Object.assign(new Error(code), { code }))
        })
      )
    )
    return socket
  })

interface Dialing {
  readonly kinds: Readonly<Record<string, Kind>>
  readonly resolve: Resolve
  readonly options?: Partial<ToHostOptions>
}

/** Dials a name in virtual time. What was opened is in `opened`, with its time. */
const dial = ({ kinds, options, resolve }: Dialing) =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const started = yield* Clock.currentTimeMillis
    const opened: Array<readonly [ip: string, millis: number]> = []
    const sockets = new Map<net.Socket, string>()
    const open = (ip: string): net.Socket => {
      opened.push([ip, Effect.runSyncWith(context)(Clock.currentTimeMillis) - started])
      const socket = Effect.runSyncWith(context)(scripted(kinds[ip] ?? "dead"))
      sockets.set(socket, ip)
      return socket
    }
    const told: ToHostOptions = {
      permits: () => true,
      lookingUp: (lookup) => lookup,
      spare: () => () => {},
      resolve,
      ...options
    }
    const fiber = yield* Effect.forkChild(
      Effect.uninterruptibleMask((restore) => toHost("name.example", told, open)(restore)).pipe(
        Effect.timeoutOption("6 seconds")
      )
    )
    return { fiber, opened, sockets }
  })

/** Runs a dial to its end: who won, or why nobody did, and when. */
const outcome = (dialing: Dialing) =>
  Effect.gen(function* () {
    const { fiber, opened, sockets } = yield* dial(dialing)
    let millis = 0
    while (fiber.pollUnsafe() === undefined) {
      yield* TestClock.adjust("10 millis")
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      millis += 10
    }
    const exit = yield* Fiber.await(fiber)
    const alive = [...sockets].filter(([socket]) => !socket.destroyed).map(([, ip]) => ip)
    if (Exit.isFailure(exit)) {
      const reason = yield* Effect.flip(exit)
      return {
        won: undefined,
        why: reason._tag,
        code: "code" in reason ? reason.code : undefined,
        millis,
        opened,
        alive
      }
    }
    const won = exit.value._tag === "Some" ? sockets.get(exit.value.value) : undefined
    return { won, why: won === undefined ? "deadline" : "connected", code: undefined, millis, opened, alive }
  })

const answer =
  (...ips: ReadonlyArray<string>): Resolve =>
  () => [Effect.succeed(ips)]

/** Every order of some things. */
const orders = <A>(all: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> =>
  all.length === 0
    ? [[]]
    : all.flatMap((first, i) => orders(all.filter((_, at) => at !== i)).map((rest) => [first, ...rest]))

describe("the IPs of a name", () => {
  const four = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]
  const everyOrder = orders<Kind>(["slow", "refused", "unreachable", "dead"])

  it.effect.each(everyOrder.map((kinds) => [kinds.join(", "), kinds] as const))(
    "the slow one wins in the end, whatever the others do: %s",
    ([, kinds]) =>
      Effect.gen(function* () {
        const named = Object.fromEntries(kinds.map((kind, i) => [four[i] ?? "", kind]))
        const slow = four[kinds.indexOf("slow")]
        const { alive, millis, opened, why, won } = yield* outcome({ kinds: named, resolve: answer(...four) })
        assert.strictEqual(why, "connected")
        assert.strictEqual(won, slow)
        // Nothing is left of the others.
        assert.deepStrictEqual(alive, [slow])
        const begun = opened.find(([ip]) => ip === slow)?.[1] ?? -1
        assert.closeTo(millis, begun + outcomes.slow.millis, 20)
        // It waits 250 ms for one that says nothing, and not at all for one that has failed.
        const before = kinds.slice(0, kinds.indexOf("slow"))
        const waited = before.reduce((sum, kind) => sum + (kind === "dead" ? 250 : outcomes[kind].millis), 0)
        assert.closeTo(begun, waited, 30)
      })
  )

  it.effect("a slow IPv6 gets there though IPv4 refuses at once", () =>
    Effect.gen(function* () {
      const { opened, why, won } = yield* outcome({
        kinds: { "2001:db8::1": "slow", "192.0.2.1": "refused" },
        resolve: answer("2001:db8::1", "192.0.2.1")
      })
      assert.strictEqual(why, "connected")
      assert.strictEqual(won, "2001:db8::1")
      assert.deepStrictEqual(opened, [
        ["2001:db8::1", 0],
        ["192.0.2.1", 250]
      ])
    })
  )

  it.effect("are tried with the families in turn, the first answer's first", () =>
    Effect.gen(function* () {
      const ips = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1", "192.0.2.2"]
      const { opened } = yield* outcome({ kinds: {}, resolve: answer(...ips, ...ips, "no IP") })
      assert.deepStrictEqual(
        opened.map(([ip]) => ip),
        ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "2001:db8::3"]
      )
    })
  )

  it.effect("are all tried before it fails, and a refusal is what is said", () =>
    Effect.gen(function* () {
      const refused = yield* outcome({
        kinds: { "192.0.2.1": "unreachable", "192.0.2.2": "refused", "192.0.2.3": "unreachable" },
        resolve: answer("192.0.2.1", "192.0.2.2", "192.0.2.3")
      })
      assert.strictEqual(refused.why, "Refused")
      assert.lengthOf(refused.opened, 3)
      const unreachable = yield* outcome({ kinds: { "192.0.2.1": "unreachable" }, resolve: answer("192.0.2.1") })
      assert.deepStrictEqual([unreachable.why, unreachable.code], ["Unreachable", "ENETUNREACH"])
      const dead = yield* outcome({
        kinds: { "192.0.2.2": "refused" },
        resolve: answer("192.0.2.1", "192.0.2.2")
      })
      // One still connects, so it is the dial's deadline that ends it.
      assert.strictEqual(dead.why, "deadline")
      assert.deepStrictEqual(dead.alive, [])
    })
  )

  it.effect("are 16 at most, of both families", () =>
    Effect.gen(function* () {
      const six = Array.from({ length: 2000 }, (_, i) => `2001:db8::${(i + 1).toString(16)}`)
      const { opened } = yield* outcome({ kinds: {}, resolve: answer(...six, ...four) })
      assert.lengthOf(opened, 16)
      assert.lengthOf(
        opened.filter(([ip]) => net.isIPv4(ip)),
        4
      )
    })
  )

  it.effect("are those that policy allows", () =>
    Effect.gen(function* () {
      const permits = (ip: string) => ip === "192.0.2.2"
      const some = yield* outcome({ kinds: { "192.0.2.2": "good" }, resolve: answer(...four), options: { permits } })
      assert.deepStrictEqual(some.opened, [["192.0.2.2", 0]])
      const none = yield* outcome({ kinds: {}, resolve: answer("192.0.2.1"), options: { permits } })
      assert.strictEqual(none.why, "DeniedByPolicy")
      assert.deepStrictEqual(none.opened, [])
    })
  )

  it.effect("wait for room beside the others, and go on without it when those have failed", () =>
    Effect.gen(function* () {
      const kinds: Record<string, Kind> = { "192.0.2.2": "good" }
      let asked = 0
      const spare = () => (++asked > 2 ? () => {} : undefined)
      const late = yield* outcome({ kinds, resolve: answer("192.0.2.1", "192.0.2.2"), options: { spare } })
      assert.deepStrictEqual([late.won, late.opened[1]?.[1]], ["192.0.2.2", 750])
      const alone = yield* outcome({
        kinds: { ...kinds, "192.0.2.1": "refused" },
        resolve: answer("192.0.2.1", "192.0.2.2"),
        options: { spare: () => undefined }
      })
      assert.strictEqual(alone.won, "192.0.2.2")
    })
  )

  it.effect("give back the room that they took, and leave no socket, when the dial is interrupted", () =>
    Effect.gen(function* () {
      let taken = 0
      const spare = () => {
        taken++
        return () => void taken--
      }
      const { fiber, opened, sockets } = yield* dial({ kinds: {}, resolve: answer(...four), options: { spare } })
      yield* TestClock.adjust("2 seconds")
      assert.lengthOf(opened, 4)
      assert.strictEqual(taken, 3)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(taken, 0)
      assert.isTrue([...sockets.keys()].every((socket) => socket.destroyed))
    })
  )
})

describe("the answers about a name", () => {
  const late = (millis: number, ...ips: ReadonlyArray<string>) => Effect.delay(Effect.succeed(ips), millis)
  const fails = (code: string) => Effect.fail(new NameNotFound({ host: "name.example", code }))
  const good: Record<string, Kind> = { "2001:db8::1": "good", "192.0.2.1": "good" }

  it.effect("IPv4 waits 50 ms for IPv6, and no longer", () =>
    Effect.gen(function* () {
      const soon = yield* outcome({ kinds: good, resolve: () => [late(40, "2001:db8::1"), late(10, "192.0.2.1")] })
      assert.deepStrictEqual(soon.opened, [["2001:db8::1", 40]])
      const slow = yield* outcome({ kinds: good, resolve: () => [late(500, "2001:db8::1"), late(10, "192.0.2.1")] })
      assert.deepStrictEqual(slow.opened, [["192.0.2.1", 60]])
      const never = yield* outcome({ kinds: good, resolve: () => [Effect.never, late(10, "192.0.2.1")] })
      assert.strictEqual(never.won, "192.0.2.1")
      const failed = yield* outcome({ kinds: good, resolve: () => [fails("ESERVFAIL"), late(10, "192.0.2.1")] })
      assert.deepStrictEqual(failed.opened, [["192.0.2.1", 10]])
    })
  )

  it.effect("IPv6 waits for nobody, and IPv4 joins when it comes", () =>
    Effect.gen(function* () {
      const { opened, won } = yield* outcome({
        kinds: { "192.0.2.1": "good" },
        resolve: () => [late(10, "2001:db8::1"), late(600, "192.0.2.1")]
      })
      assert.strictEqual(won, "192.0.2.1")
      assert.deepStrictEqual(opened, [
        ["2001:db8::1", 10],
        ["192.0.2.1", 600]
      ])
    })
  )

  it.effect("none: the reason is that of the resolver, and one that may change says so", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [Resolve, string]> = [
        [answer(), "ENODATA"],
        [answer("name.example", "1.2.3"), "ENODATA"],
        [() => [fails("ENOTFOUND")], "ENOTFOUND"],
        [() => [fails("ENOTFOUND"), fails("ETIMEOUT")], "ETIMEOUT"]
      ]
      for (const [resolve, expected] of cases) {
        const { code, why } = yield* outcome({ kinds: {}, resolve })
        assert.deepStrictEqual([why, code], ["NameNotFound", expected])
      }
    })
  )

  it.effect("what is asked is taken back when a socket is connected, and when the dial is interrupted", () =>
    Effect.gen(function* () {
      let asking = 0
      const question = Effect.acquireUseRelease(
        Effect.sync(() => asking++),
        () => Effect.never,
        () => Effect.sync(() => asking--)
      )
      const resolve: Resolve = () => [question, late(10, "192.0.2.1")]
      yield* outcome({ kinds: good, resolve })
      assert.strictEqual(asking, 0)
      const { fiber } = yield* dial({ kinds: {}, resolve: () => [question] })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(asking, 1)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(asking, 0)
    })
  )
})

describe("localhost", () => {
  it.live("is this device, and never asked of an application's resolver", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const opened: Array<string> = []
      const server = yield* Effect.acquireRelease(
        Effect.callback<net.Server>((resume) => {
          const server = net.createServer((socket) => socket.on("error", () => {}).destroy())
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const told: ToHostOptions = {
        permits: () => true,
        lookingUp: (lookup) => lookup,
        spare: () => () => {},
        resolve: (host) => {
          asked.push(host)
          return [Effect.succeed(["203.0.113.9"])]
        }
      }
      const open = (ip: string) => {
        opened.push(ip)
        return net.connect(port, ip)
      }
      const socket = yield* Effect.uninterruptibleMask((restore) => toHost("localhost", told, open)(restore))
      socket.destroy()
      assert.deepStrictEqual(asked, [])
      assert.notInclude(opened, "203.0.113.9")
    })
  )
})
