/** `Gossip.source`: real peers, over net and noise and over memory, honest ones and others. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Connection from "../../src/Connection.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Events from "../../src/Events.ts"
import * as Gossip from "../../src/Gossip.ts"
import * as Wire from "../../src/gossip/wire.ts"
import * as Identity from "../../src/Identity.ts"
import * as Limits from "../../src/Limits.ts"
import * as Lookup from "../../src/Lookup.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Memory from "../../src/memory/Memory.ts"
import * as Net from "../../src/net/Net.ts"
import * as Noauth from "../../src/noauth/Noauth.ts"
import * as Noise from "../../src/noise/Noise.ts"
import * as PeerMultiserver from "../../src/PeerMultiserver.ts"
import { echo, freeAddresses, pattern, readAll, sameBytes, turns, until } from "../support/servers.ts"
import { pairOf, recordOf } from "./support.ts"

const keyOf = (who: number): string => Identity.formatPublicKey(pairOf(who).publicKey)

/** One memory for all programs, as a network is. */
const memory = Layer.succeedContext(Effect.runSync(Effect.scoped(Layer.build(Memory.layer()))))

/** A program of its own: a Multiserver with an identity, and what it tells. */
const program = Effect.fnUntraced(function* (who: number) {
  const events: Array<Events.Event> = []
  const context = yield* Layer.build(
    Multiserver.layer(["net~noise", "net~noauth", "memory~noise", "memory~noauth", "memory"]).pipe(
      Layer.provide([Net.layer(), memory, Noise.layer(), Noauth.layer()]),
      Layer.provideMerge(Layer.succeed(Identity.Identity, pairOf(who))),
      Layer.provideMerge(Sodium.layer),
      Layer.provideMerge(
        Events.layer((event) =>
          Effect.sync(() => {
            events.push(event)
          })
        )
      ),
      Layer.provide(Limits.layer({ grace: "1 milli", handshake: "10 minutes" })),
      Layer.fresh
    )
  )
  const dropped = () =>
    events.flatMap((event) => (event._tag === "GossipDropped" ? [{ role: event.role, tag: event.tag }] : []))
  return { as: Effect.provideContext(context), events, dropped, who }
})

const quiet = { interval: "1 hour", patience: "1 hour" } as const

/** A node over memory and noise that lists these. */
const over = (stack: "noise" | "noauth", who: number) =>
  stack === "noise" ? `memory:${who}~noise:${keyOf(who)}` : `memory:${who}~noauth`

const gossiping = Effect.fnUntraced(function* (
  who: number,
  peers: ReadonlyArray<number>,
  options: Partial<Gossip.Options> = {}
) {
  const own = yield* program(who)
  const source = yield* own.as(
    Gossip.source({
      listen: `memory:${who}~noise`,
      peers: peers.map((peer) => over("noise", peer)),
      ...quiet,
      ...options
    })
  )
  return { ...own, source }
})

/** A record that is valid by the clock of the test. */
const fresh = (who: number, sequence: number, addresses?: ReadonlyArray<string>) =>
  Effect.map(Clock.currentTimeMillis, (millis) =>
    recordOf(who, sequence, { expires: Math.floor(millis / 1000) + 3600, ...(addresses && { addresses }) })
  )

const publish = ({ publish }: Lookup.Source, record: ReturnType<typeof recordOf>) =>
  publish === undefined ? Effect.die("it takes records") : publish(record)

const find = ({ find }: Lookup.Source, who: number) =>
  Effect.map(Stream.runCollect(find(pairOf(who).publicKey)), (offers) =>
    offers.map((offer) => (offer._tag === "Signed" ? Wire.idOf(offer.bytes.subarray(33)) : "heard"))
  )

const idOf = (who: number) => Wire.idOf(pairOf(who).publicKey)

/** A Multiserver that dials by key with this look-up. */
const dialing = (lookup: Context.Context<Lookup.Lookup>) =>
  PeerMultiserver.layer({ dial: {} }).pipe(Layer.provide(Layer.succeedContext(lookup)))

describe("three programs over net and noise", () => {
  it.live("dial each other by key, and one that has moved is found again after one publication", () =>
    Effect.gen(function* () {
      const [one, two, three] = [yield* program(1), yield* program(2), yield* program(3)]
      const places = yield* freeAddresses(3)
      const peers = places.map((place, i) => `${place}~noise:${keyOf(i + 1)}`)
      const looking = (i: number) =>
        Layer.build(
          Lookup.layer(
            [Gossip.source({ listen: `${places[i]}~noise`, peers, interval: "1 hour", patience: "5 minutes" })],
            { patience: "10 minutes" }
          )
        )
      const [alice, bob, carol] = yield* Effect.all([one.as(looking(0)), two.as(looking(1)), three.as(looking(2))])
      let published = 0
      const serveAndPublish = Effect.gen(function* () {
        const scope = yield* Scope.fork(yield* Effect.scope)
        const listener = yield* one.as(Multiserver.listen("net:127.0.0.1:0~noise")).pipe(Scope.provide(scope))
        yield* Effect.forkIn(listener.run(echo), scope)
        const { record } = yield* Effect.provideContext(Lookup.publish(listener.addresses()), alice)
        published = record.sequence
        return scope
      })
      const dialed = (from: typeof two, lookup: typeof bob) =>
        Effect.gen(function* () {
          const connection = yield* from.as(Effect.provide(Multiserver.dial(`peer:${keyOf(1)}`), dialing(lookup)))
          yield* Effect.andThen(connection.write(pattern(100)), connection.end)
          assert.isTrue(sameBytes(yield* readAll(connection), pattern(100)))
        }).pipe(Effect.scoped)

      const first = yield* serveAndPublish
      yield* dialed(two, bob)
      yield* dialed(three, carol)
      yield* Scope.close(first, Exit.void)
      yield* serveAndPublish
      // One of the two has the record when it is published. The other one hears of it in the same round.
      for (const context of [bob, carol]) {
        let newest = 0
        const look = Stream.runForEach(Lookup.find(pairOf(1).publicKey), ({ sequence }) =>
          Effect.sync(() => {
            newest = sequence
          })
        ).pipe(Effect.provideContext(context))
        yield* Effect.repeat(look, { until: () => newest === published })
      }
      yield* dialed(two, bob)
      yield* dialed(three, carol)
    })
  )
})

describe("a node", () => {
  it.effect("waits for a round when it knows nothing of a key, and answers from memory when it does", () =>
    Effect.gen(function* () {
      const record = yield* fresh(9, 1)
      const bob = yield* gossiping(2, [1])
      const alice = yield* gossiping(1, [2])
      yield* publish(bob.source, yield* fresh(2, 1))
      assert.deepStrictEqual(yield* find(alice.source, 2), [idOf(2)])
      const dials = () => alice.events.filter(({ _tag }) => _tag === "Connected").length
      const before = dials()
      assert.deepStrictEqual(yield* find(alice.source, 2), [idOf(2)])
      yield* turns
      assert.strictEqual(dials(), before)

      // Of this key nobody has told yet: just after a round there is no other one, later there is.
      assert.deepStrictEqual(yield* find(alice.source, 9), [])
      yield* TestClock.adjust("3 seconds")
      yield* Effect.forkScoped(publish(bob.source, record), { startImmediately: true })
      yield* turns
      assert.deepStrictEqual(yield* find(alice.source, 9), [idOf(9)])
    })
  )

  it.effect("asks again for a key whose record has expired, and gives that one if nobody has a newer one", () =>
    Effect.gen(function* () {
      const bob = yield* gossiping(2, [1])
      const alice = yield* gossiping(1, [2])
      yield* publish(bob.source, yield* fresh(2, 1))
      assert.deepStrictEqual(yield* find(alice.source, 2), [idOf(2)])
      yield* TestClock.adjust("3 hours")
      yield* turns
      assert.deepStrictEqual(yield* find(alice.source, 2), [idOf(2)])
    })
  )

  it.effect("fails when nobody can be asked, and when nobody takes the record, and later rounds go on with it", () =>
    Effect.gen(function* () {
      const alice = yield* gossiping(1, [2, 3])
      const asked = yield* Effect.flip(find(alice.source, 2))
      assert.isTrue(asked.isRetryable)
      assert.include(asked.message, "none of the peers that were asked answered")
      yield* TestClock.adjust("3 seconds")
      yield* turns
      const given = yield* Effect.flip(publish(alice.source, yield* fresh(1, 1)))
      assert.isTrue(given.isRetryable)
      assert.include(given.message, "no peer took the record yet")

      const bob = yield* gossiping(2, [1])
      yield* turns
      assert.deepStrictEqual(yield* find(bob.source, 1), [idOf(1)])
    })
  )

  it.effect("has published when the first of its peers has the record, though another one stalls", () =>
    Effect.gen(function* () {
      const bob = yield* gossiping(2, [1])
      const stalling = yield* program(3)
      yield* stalling.as(
        Effect.flatMap(Multiserver.listen("memory:3~noise"), (listener) =>
          Effect.forkScoped(listener.run((connection) => Stream.runDrain(Connection.stream(connection))))
        )
      )
      const alice = yield* gossiping(1, [2, 3], { patience: "5 seconds" })
      yield* turns
      const publishing = yield* Effect.forkChild(publish(alice.source, yield* fresh(1, 1)), { startImmediately: true })
      // The round that goes on, and the rest after it.
      yield* TestClock.adjust("5 seconds")
      yield* turns
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(publishing)
      assert.deepStrictEqual(yield* find(bob.source, 1), [idOf(1)])
    })
  )

  it.effect("refuses to publish what is older than what it knows, or another record of that sequence", () =>
    Effect.gen(function* () {
      yield* gossiping(2, [1])
      const alice = yield* gossiping(1, [2])
      yield* publish(alice.source, yield* fresh(1, 5))
      const older = yield* Effect.flip(publish(alice.source, yield* fresh(1, 4)))
      assert.include(older.message, "newer")
      const conflict = yield* Effect.flip(publish(alice.source, yield* fresh(1, 5, ["memory:elsewhere"])))
      assert.include(conflict.message, "same sequence")
      assert.isFalse(older.isRetryable || conflict.isRetryable)
    })
  )

  it.effect("that only dials hears of everything, and everybody of its records", () =>
    Effect.gen(function* () {
      const alice = yield* gossiping(1, [2])
      const program2 = yield* program(2)
      yield* turns
      const bob = yield* program2.as(Gossip.source({ peers: [over("noise", 1)], ...quiet }))
      assert.strictEqual(bob.name, "gossip")
      yield* publish(bob, yield* fresh(2, 1))
      assert.deepStrictEqual(yield* find(alice.source, 2), [idOf(2)])
    })
  )

  it.effect("has at most one round in two seconds, whatever is published", () =>
    Effect.gen(function* () {
      const bob = yield* gossiping(2, [1])
      const alice = yield* gossiping(1, [2])
      const rounds = () => bob.events.filter(({ _tag }) => _tag === "Connected").length
      yield* turns
      const before = rounds()
      for (let i = 1; i <= 20; i++) yield* Effect.forkScoped(publish(alice.source, yield* fresh(1, i)))
      for (let i = 0; i < 10; i++) {
        yield* TestClock.adjust("1 second")
        yield* turns
      }
      // All waited for the same one.
      assert.strictEqual(rounds() - before, 1)
      assert.deepStrictEqual(yield* find(bob.source, 1), [idOf(1)])
    })
  )

  it.effect("gossips no more after its scope has closed, and says so", () =>
    Effect.gen(function* () {
      const own = yield* program(1)
      const scope = yield* Scope.make()
      const source = yield* own.as(Gossip.source({ peers: [over("noise", 2)], ...quiet })).pipe(Scope.provide(scope))
      yield* turns
      yield* TestClock.adjust("3 seconds")
      yield* Scope.close(scope, Exit.void)
      const error = yield* Effect.flip(publish(source, yield* fresh(1, 1)))
      assert.include(error.message, "the scope of this gossip has closed")
    })
  )

  it.effect("over noauth talks with whom noauth trusts, when its list says so", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* program(1), yield* program(2)]
      const alice = yield* one.as(Gossip.source({ listen: "memory:a~noauth", peers: ["memory:b~noauth"], ...quiet }))
      const bob = yield* two.as(Gossip.source({ listen: "memory:b~noauth", peers: ["memory:a~noauth"], ...quiet }))
      yield* turns
      yield* TestClock.adjust("3 seconds")
      yield* publish(alice, yield* fresh(1, 1))
      assert.deepStrictEqual(yield* find(bob, 1), [idOf(1)])
    })
  )

  it.effect.each<readonly [string, string]>([
    ["memory:x", "nothing in its address proves who it is"],
    ["net:192.0.2.1:8010~noise", "nothing in its address proves who it is"],
    [`memory:x~noise:${keyOf(2)};memory:y~noise:${keyOf(3)}`, "different keys"],
    ["memory:x~", "address"]
  ])("does not begin with a peer that can't be obeyed: %s", ([peer, says]) =>
    Effect.gen(function* () {
      const own = yield* program(1)
      const error = yield* Effect.flip(own.as(Gossip.source({ peers: [over("noise", 2), peer] })))
      assert.include(error.message, says)
      assert.isFalse(error.isRetryable)
    })
  )

  it.effect.each<readonly [Gossip.Options, string]>([
    [{ peers: [over("noise", 1)] }, "peers: there are none beside this node"],
    [{ peers: Array.from({ length: 501 }, () => over("noise", 2)) }, "peers: 501 peers"],
    [{ peers: [over("noise", 2)], listen: "memory:bare" }, "listen: nobody of the list could come in by memory:bare"],
    [{ peers: [over("noise", 2)], listen: "memory:x~noauth" }, "listen: nobody"],
    [{ peers: [over("noise", 2)], fanout: 0 }, "fanout: expected 1 to 16"],
    [{ peers: [over("noise", 2)], fanout: 17 }, "fanout"],
    [{ peers: [over("noise", 2)], records: 100_001 }, "records"],
    [{ peers: [over("noise", 2)], interval: "3 seconds" as const }, "interval: expected a time of 4000 ms to one day"],
    [{ peers: [over("noise", 2)], interval: "25 hours" as const }, "interval"],
    [{ peers: [over("noise", 2)], patience: "0 seconds" as const }, "patience"],
    [{ peers: [over("noise", 2)], records: Number.NaN }, "records: expected 1 to 100000"]
  ])("does not begin with an option that can't be obeyed: %o", ([options, says]) =>
    Effect.gen(function* () {
      const own = yield* program(1)
      const error = yield* Effect.flip(own.as(Gossip.source(options)))
      assert.include(error.message, says)
    })
  )
})

describe("a peer that", () => {
  /** Dials node 1 as `who`, says these bytes, and reads until it is cut off. */
  const says = (who: number, ...all: ReadonlyArray<Uint8Array>) =>
    Effect.gen(function* () {
      const eve = yield* program(who)
      const connection = yield* eve.as(Multiserver.dial(over("noise", 1)))
      return yield* Effect.exit(Effect.andThen(Effect.forEach(all, connection.write), readAll(connection)))
    }).pipe(Effect.scoped)

  const digest = (...records: ReadonlyArray<ReturnType<typeof recordOf>>): Uint8Array => {
    const entries = records.map(({ publicKey, sequence }) => ({ id: Wire.idOf(publicKey), sequence, isOnOffer: true }))
    return Wire.write([{ _tag: "Digest", from: Wire.firstId, until: Wire.firstId, entries }])
  }
  const record = ({ bytes }: ReturnType<typeof recordOf>) => Wire.write([{ _tag: "Record", bytes }])
  const end = Wire.write([{ _tag: "End" }])

  it.effect("is not on the list is turned away, whatever authorize says", () =>
    Effect.gen(function* () {
      const alice = yield* gossiping(1, [2])
      assert.isTrue(Exit.isFailure(yield* says(3, digest())))
      assert.deepStrictEqual(alice.dropped(), [{ role: "listen", tag: "NotListed" }])
    })
  )

  it.live("proves nothing is turned away, also where the list has peers without keys", () =>
    Effect.gen(function* () {
      const own = yield* program(1)
      const [place = ""] = yield* freeAddresses(1)
      yield* own.as(Gossip.source({ listen: `${place}~noauth`, peers: ["memory:b~noauth"], ...quiet }))
      yield* own.as(Effect.flatMap(Multiserver.dial(`${place}~noauth`), readAll)).pipe(Effect.scoped, Effect.exit)
      yield* until(() => own.dropped().length > 0)
      assert.deepStrictEqual(own.dropped(), [{ role: "listen", tag: "Unproved" }])
    })
  )

  it.effect.each([
    ["sends nonsense", "Malformed", () => [Uint8Array.of(0, 1, 99)]],
    ["announces more than a frame may have", "TooMuch", () => [Uint8Array.of(255, 255)]],
    [
      "sends a forged record",
      "BadRecord",
      (good: ReturnType<typeof recordOf>) => {
        const bytes = good.bytes.map((byte, i) => (i === 70 ? byte ^ 1 : byte))
        return [digest(good), Wire.write([{ _tag: "Record", bytes }])]
      }
    ],
    [
      "sends a record that it was not asked for",
      "Unasked",
      (good: ReturnType<typeof recordOf>) => [digest(), record(good)]
    ],
    ["leaves in the middle", "Disconnected", () => []]
  ] as const)("%s is dropped, and others go on", ([what, tag, bytes]) =>
    Effect.gen(function* () {
      const alice = yield* gossiping(1, [2, 3])
      const carol = yield* gossiping(3, [1])
      const all = bytes(yield* fresh(4, 1))
      if (what === "leaves in the middle") {
        const eve = yield* program(2)
        yield* Effect.scoped(Effect.flatMap(eve.as(Multiserver.dial(over("noise", 1))), ({ end }) => end))
        yield* turns
      } else {
        assert.isTrue(Exit.isFailure(yield* says(2, ...all)))
      }
      assert.deepStrictEqual(alice.dropped(), [{ role: "listen", tag }])
      yield* TestClock.adjust("3 seconds")
      yield* publish(carol.source, yield* fresh(3, 1))
      assert.deepStrictEqual(yield* find(alice.source, 3), [idOf(3)])
      assert.deepStrictEqual(yield* Effect.exit(find(alice.source, 4)), Exit.succeed([]))
    })
  )

  it.effect("stalls is dropped after `patience`", () =>
    Effect.gen(function* () {
      const alice = yield* gossiping(1, [2], { patience: "10 seconds" })
      const stalled = yield* Effect.forkScoped(says(2, digest(yield* fresh(4, 1))))
      yield* turns
      assert.deepStrictEqual(alice.dropped(), [])
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(stalled)))
      assert.deepStrictEqual(alice.dropped(), [{ role: "listen", tag: "TimedOut" }])
    })
  )

  it.effect("answers nothing, or nonsense, when it is dialed is dropped, and the round goes on with others", () =>
    Effect.gen(function* () {
      const [silent, wild] = [yield* program(2), yield* program(3)]
      for (const [eve, handler] of [
        [silent, readAll],
        [
          wild,
          (connection: Connection.Connection) =>
            Effect.andThen(connection.write(Uint8Array.of(0, 1, 99)), readAll(connection))
        ]
      ] as const) {
        const listener = yield* eve.as(Multiserver.listen(`memory:${eve.who}~noise`))
        yield* Effect.forkScoped(listener.run(handler))
      }
      const carol = yield* gossiping(4, [1])
      yield* turns
      const alice = yield* gossiping(1, [2, 3, 4], { patience: "10 seconds" })
      yield* until(() => alice.dropped().length === 1)
      yield* TestClock.adjust("10 seconds")
      yield* turns
      assert.deepStrictEqual(alice.dropped(), [
        { role: "dial", tag: "Malformed" },
        { role: "dial", tag: "TimedOut" }
      ])
      yield* publish(carol.source, yield* fresh(4, 1))
      assert.deepStrictEqual(yield* find(alice.source, 4), [idOf(4)])
    })
  )

  it.effect("stalls when it is dialed does not hold up what another one knows", () =>
    Effect.gen(function* () {
      const silent = yield* program(2)
      const listener = yield* silent.as(Multiserver.listen("memory:2~noise"))
      yield* Effect.forkScoped(listener.run(readAll))
      const carol = yield* gossiping(4, [1])
      yield* turns
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(publish(carol.source, yield* fresh(4, 1)))))
      const alice = yield* gossiping(1, [2, 4], { patience: "10 seconds" })
      const key = pairOf(4).publicKey
      // No time passes: the round has not ended.
      const first = yield* Stream.runHead(alice.source.find(key))
      assert.isTrue(Option.isSome(first))
      const finding = yield* Effect.forkChild(find(alice.source, 4))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* Fiber.join(finding), [idOf(4)])
      assert.deepStrictEqual(alice.dropped(), [{ role: "dial", tag: "TimedOut" }])
    })
  )

  it.effect("begins exchanges too often is turned away until it has waited", () =>
    Effect.gen(function* () {
      const alice = yield* gossiping(1, [2])
      const talk = says(2, digest(), end)
      for (let i = 0; i < 8; i++) assert.isTrue(Exit.isSuccess(yield* talk))
      assert.isTrue(Exit.isFailure(yield* talk))
      assert.deepStrictEqual(alice.dropped(), [{ role: "listen", tag: "TooOften" }])
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(Exit.isSuccess(yield* talk))
    })
  )

  it.effect("signs two records of one sequence is told of, and the first one stays", () =>
    Effect.gen(function* () {
      const alice = yield* gossiping(1, [2, 3])
      const good = yield* fresh(4, 7, ["memory:first"])
      const other = yield* fresh(4, 7, ["memory:second"])
      // Both are asked for before one has come.
      const [bob, carol] = [yield* program(2), yield* program(3)]
      const [one, two] = [
        yield* bob.as(Multiserver.dial(over("noise", 1))),
        yield* carol.as(Multiserver.dial(over("noise", 1)))
      ]
      yield* one.write(digest(good))
      yield* two.write(digest(other))
      yield* turns
      yield* one.writeAll([record(good), end])
      yield* turns
      yield* two.writeAll([record(other), end])
      yield* readAll(two)
      yield* turns
      assert.deepStrictEqual(alice.dropped(), [])
      assert.deepInclude(
        alice.events.find(({ _tag }) => _tag === "RecordConflict"),
        { peer: keyOf(4), sequence: 7, source: alice.source.name }
      )
      const offers = yield* Stream.runCollect(alice.source.find(pairOf(4).publicKey))
      assert.deepStrictEqual(offers, [{ _tag: "Signed", bytes: good.bytes }])
    })
  )

  it.effect("floods with records of others changes nothing for listed peers", () =>
    Effect.gen(function* () {
      const alice = yield* gossiping(1, [2, 3], { records: 10 })
      const carol = yield* gossiping(3, [1])
      yield* TestClock.adjust("3 seconds")
      yield* publish(carol.source, yield* fresh(3, 1))
      const flood = yield* Effect.forEach(
        Array.from({ length: 200 }, (_, i) => i),
        (i) => fresh(1000 + i, 1)
      )
      assert.isTrue(Exit.isSuccess(yield* says(2, digest(...flood), ...flood.map(record), end)))
      assert.deepStrictEqual(yield* find(alice.source, 3), [idOf(3)])
      // What it has kept of the flood is bounded: a peer that lacks everything gets ten of them, and carol's.
      const told = yield* program(2)
      const connection = yield* told.as(Multiserver.dial(over("noise", 1)))
      yield* connection.write(digest())
      yield* turns
      const chunks = yield* connection.pull
      let records = 0
      new Wire.Frames().read(Buffer.concat(chunks), (frame) => {
        if (frame[0] === 3) records++
        return undefined
      })
      assert.strictEqual(records, 11)
    })
  )

  it.effect(
    "sends forged, older, expired and oversized records, and those of others, keeps nobody from being found",
    () =>
      Effect.gen(function* () {
        const alice = yield* gossiping(1, [2, 3])
        const carol = yield* gossiping(3, [1])
        const listener = yield* carol.as(Multiserver.listen("memory:carol~noise"))
        yield* Effect.forkScoped(listener.run(echo))
        yield* TestClock.adjust("3 seconds")

        const old = yield* fresh(3, 1, ["memory:nowhere"])
        const newest = yield* fresh(3, 9, ["memory:nowhere"])
        const forged = newest.bytes.map((byte, i) => (i === 70 ? byte ^ 1 : byte))
        const expired = recordOf(3, 8, { expires: 0, addresses: ["memory:nowhere"] })
        const raw = (bytes: Uint8Array) => Wire.write([{ _tag: "Record", bytes }])
        yield* says(2, digest(old), record(old), end)
        yield* says(2, digest(newest), raw(forged))
        yield* says(2, digest(newest), raw(new Uint8Array(1001)))
        yield* says(2, digest(newest), record(yield* fresh(4, 9)))
        yield* says(2, digest(expired), record(expired), end)
        yield* publish(carol.source, yield* fresh(3, 5, listener.addresses().map(String)))
        yield* says(2, digest(old), record(old), end)
        assert.deepStrictEqual(
          alice.dropped().map(({ tag }) => tag),
          ["BadRecord", "TooMuch", "Unasked", "Unasked"]
        )

        const lookup = yield* alice.as(Layer.build(Lookup.layer([Effect.succeed(alice.source)])))
        const found = yield* Stream.runCollect(Lookup.find(pairOf(3).publicKey)).pipe(Effect.provideContext(lookup))
        assert.deepStrictEqual(
          found.map(({ sequence }) => sequence),
          [5]
        )
        const connection = yield* alice.as(Multiserver.dial(found[0]?.addresses ?? []))
        yield* Effect.andThen(connection.write(pattern(100)), connection.end)
        assert.isTrue(sameBytes(yield* readAll(connection), pattern(100)))
      })
  )
})
