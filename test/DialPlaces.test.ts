/** Dials are bounded in number: more wait for a place, and file descriptors never run out for them. */
import { spawn } from "node:child_process"
import * as net from "node:net"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Address from "../src/Address.ts"
import { Capacity } from "../src/Capacity.ts"
import { DialPlaces } from "../src/DialPlaces.ts"
import * as Limits from "../src/Limits.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Net from "../src/net/Net.ts"
import * as Noauth from "../src/noauth/Noauth.ts"
import { Resolver } from "../src/Resolver.ts"
import * as Transport from "../src/Transport.ts"
import { readsTypes } from "./support/nodes.ts"
import { turns } from "./support/servers.ts"

const file = (name: string) => fileURLToPath(new URL(`support/${name}`, import.meta.url))

/** The port of a black hole on 127.0.0.1, in the system's own words: its queue is full, and it takes nobody. */
const blackHole = Effect.gen(function* () {
  const hole = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(readsTypes, [file("blackHole.ts")], { stdio: ["ignore", "pipe", "inherit"] })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const port = yield* Effect.callback<number>((resume) => {
    hole.stdout.once("data", (line) => resume(Effect.succeed(Number(line))))
  })
  // These fill its queue.
  const filling = yield* Effect.acquireRelease(
    Effect.sync(() => Array.from({ length: 4 }, () => net.connect(port, "127.0.0.1").on("error", () => {}))),
    (sockets) => Effect.sync(() => sockets.forEach((socket) => socket.destroy()))
  )
  yield* Effect.callback<void>((resume) => void filling[1]?.once("connect", () => resume(Effect.void)))
  return port
})

/** A transport whose dials never connect, and how many of them do so at once. */
const deaf = (room?: () => number) => {
  const state = { dialing: 0, most: 0 }
  const layer = Transport.layer("deaf", {
    section: Address.section("deaf", Schema.String),
    reach: () => "public",
    ...(room && { room }),
    dial: () =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          state.most = Math.max(state.most, ++state.dialing)
        }),
        () => Effect.never,
        () => Effect.sync(() => void state.dialing--)
      )
  })
  return { state, layer }
}

const multiserver = (own: ReturnType<typeof deaf>, limits: Partial<Limits.LimitValues> = {}) =>
  Multiserver.layer(["deaf"]).pipe(Layer.provide(own.layer), Layer.provide(Limits.layer(limits)))

describe("the room for connections", () => {
  it.effect("is asked for once, however many stacks and transports have the same", () =>
    Effect.gen(function* () {
      let asked = 0
      const room = () => {
        asked++
        return 100
      }
      const other = Transport.layer("other", {
        section: Address.section("other", Schema.String),
        reach: () => "device",
        room,
        dial: () => Effect.never
      })
      yield* Layer.build(
        Multiserver.layer(["deaf", "deaf~noauth", "other"]).pipe(
          Layer.provide([deaf(room).layer, other, Noauth.layer()])
        )
      )
      assert.strictEqual(asked, 1)
    })
  )
})

/** Which phase's time was over. */
const phase = Effect.map(Effect.flip(Effect.scoped(Multiserver.dial("deaf"))), ({ reason }) =>
  reason._tag === "TimedOut" ? `${reason.phase} ${reason.millis}` : reason._tag
)

describe("dials of black holes", () => {
  it.effect("are as many at once as may be; the others wait for a place, and fail with a reason of their own", () =>
    Effect.gen(function* () {
      const own = deaf(() => Number.POSITIVE_INFINITY)
      const context = yield* Layer.build(multiserver(own, { dials: 10 }))
      const fibers = yield* Effect.forEach(
        Array.from({ length: 100 }, () => phase),
        (each) => Effect.forkChild(Effect.provide(each, context), { startImmediately: true })
      )
      assert.strictEqual(own.state.dialing, 10)
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(own.state.dialing, 10)
      // Who is interrupted waits no more, and holds up nobody.
      yield* Effect.forEach(fibers.slice(20, 30), Fiber.interrupt)
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(own.state.dialing, 10)
      yield* TestClock.adjust("24 seconds")
      const phases = yield* Effect.forEach([...fibers.slice(0, 20), ...fibers.slice(30)], Fiber.join)
      const connecting = phases.filter((each) => each === "connect 6000").length
      assert.isAtLeast(connecting, 50)
      assert.strictEqual(phases.filter((each) => each === "place 30000").length, 90 - connecting)
      assert.deepStrictEqual(own.state, { dialing: 0, most: 10 })
    })
  )

  it.effect("wait while the process has no file descriptor left for them", () =>
    Effect.gen(function* () {
      const own = deaf(() => 4)
      const context = yield* Layer.build(multiserver(own))
      yield* Effect.forEach(
        Array.from({ length: 100 }, () => phase),
        (each) => Effect.forkChild(Effect.provide(each, context), { startImmediately: true })
      )
      // The room for connections, and what dials may have beyond it.
      assert.strictEqual(own.state.dialing, 4 + 16)
    })
  )

  it.effect("wait for nothing over a transport that opens no sockets", () =>
    Effect.gen(function* () {
      const own = deaf()
      const context = yield* Layer.build(multiserver(own, { dials: 10 }))
      yield* Effect.forEach(
        Array.from({ length: 100 }, () => phase),
        (each) => Effect.forkChild(Effect.provide(each, context), { startImmediately: true })
      )
      assert.strictEqual(own.state.dialing, 100)
    })
  )

  it.live.runIf(process.platform === "linux")(
    "take no file descriptor from the rest of the process: 400 at once with a limit of 256",
    () =>
      Effect.gen(function* () {
        const port = yield* blackHole
        const command = `ulimit -n 256 && exec "$0" "$@"`
        const child = yield* Effect.acquireRelease(
          Effect.sync(() =>
            spawn("/bin/sh", ["-c", command, readsTypes, file("manyDials.ts"), "127.0.0.1", String(port)], {
              stdio: ["ignore", "pipe", "inherit"]
            })
          ),
          (child) => Effect.sync(() => child.kill("SIGKILL"))
        )
        let said = ""
        child.stdout.on("data", (text) => {
          said += text
        })
        yield* Effect.callback<void>((resume) => void child.once("close", () => resume(Effect.void)))
        const { files, outcomes } = JSON.parse(said)
        assert.deepStrictEqual(outcomes, { "TimedOut connect": 400 })
        assert.isAbove(files, 10)
      })
  )
})

describe("dials of names that no resolver answers", () => {
  it.live("ask for as many at once as may connect, and keep no place from an IP", () =>
    Effect.gen(function* () {
      let asking = 0
      const question = Effect.acquireUseRelease(
        Effect.sync(() => void asking++),
        () => Effect.never,
        () => Effect.sync(() => void asking--)
      )
      const live = Multiserver.layer(["net"]).pipe(
        Layer.provide(Net.layer()),
        Layer.provide([Limits.layer({ dials: 4 }), Layer.succeed(Resolver, () => [question])])
      )
      yield* Effect.gen(function* () {
        const names = yield* Effect.forEach(
          Array.from({ length: 20 }, (_, i) => `net:dead${i}.example:1`),
          (name) => Effect.forkChild(Effect.scoped(Multiserver.dial(name)), { startImmediately: true })
        )
        assert.strictEqual(asking, 4)
        const listener = yield* Multiserver.listen("net:127.0.0.1:0")
        yield* Effect.forkScoped(listener.run(() => Effect.void))
        yield* Multiserver.dial(listener.addresses())
        // Who is given up makes room for another question.
        yield* Fiber.interruptAll(names.slice(0, 18))
        yield* turns
        assert.strictEqual(asking, 2)
        yield* Fiber.interruptAll(names)
        yield* turns
        assert.strictEqual(asking, 0)
      }).pipe(Effect.scoped, Effect.provide(live))
    })
  )
})

describe("a name with a black hole, an IP that refuses and one that answers", () => {
  it.live.runIf(process.platform === "linux")("is reached, in whatever order they are", () =>
    Effect.gen(function* () {
      const port = yield* blackHole
      const server = net.createServer((socket) => socket.on("error", () => {}))
      yield* Effect.acquireRelease(
        Effect.callback<void>((resume) => void server.listen(port, "127.0.0.2", () => resume(Effect.void))),
        () => Effect.sync(() => server.close())
      )
      const [hole, good, refuses] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
      for (const order of [
        [hole, good, refuses],
        [hole, refuses, good],
        [good, hole, refuses],
        [good, refuses, hole],
        [refuses, hole, good],
        [refuses, good, hole]
      ]) {
        const resolver = Layer.succeed(Resolver, () => [Effect.succeed(order)])
        const layer = Multiserver.layer(["net"]).pipe(Layer.provide(Net.layer()), Layer.provide(resolver))
        yield* Effect.gen(function* () {
          // Longer than the test may take, so that no deadline decides.
          const { remote } = yield* Multiserver.dial(`net:name.example:${port}`, { timeouts: { connect: "1 hour" } })
          assert.strictEqual(String(remote), `net:127.0.0.2:${port}`)
        }).pipe(Effect.scoped, Effect.provide(layer))
      }
    })
  )
})

describe("places", () => {
  it("go to who has waited longest, before anybody new", () => {
    const places = new DialPlaces(new Capacity(10), { most: 2, room: 10 })
    const [first, second, third, fourth] = [0, 1, 2, 3].map(() => places.place(true))
    assert.isTrue(first?.take())
    assert.isTrue(second?.take())
    const taken: Array<string> = []
    if (third === undefined || fourth === undefined) return assert.fail()
    assert.isFalse(third.take())
    Effect.runFork(
      Effect.andThen(
        third.taken,
        Effect.sync(() => taken.push("third"))
      )
    )
    first?.connected()
    assert.isFalse(fourth.take())
    Effect.runFork(
      Effect.andThen(
        fourth.taken,
        Effect.sync(() => taken.push("fourth"))
      )
    )
    assert.deepStrictEqual(taken, ["third"])
    // Also when it gives up.
    second?.leave()
    second?.leave()
    assert.deepStrictEqual(taken, ["third", "fourth"])
  })

  it("are as many as newcomers and dials leave room for", () => {
    const capacity = new Capacity(4)
    const places = new DialPlaces(capacity, { most: 100, room: 4 })
    for (let i = 0; i < 19; i++) capacity.take()
    const place = places.place(true)
    assert.isTrue(place.take())
    assert.isUndefined(places.spare())
    assert.isFalse(places.place(true).take())
    place.leave()
    const giveBack = places.spare()
    assert.isDefined(giveBack)
    assert.isFalse(places.place(true).take())
    giveBack?.()
    giveBack?.()
    assert.strictEqual(capacity.count, 19)
    assert.isTrue(places.place(true).take())
  })
})
