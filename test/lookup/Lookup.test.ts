/** Looking up keys at sources that are not believed, and publishing to them. */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Queue from "effect/Queue"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Address from "../../src/Address.ts"
import type { Primitives } from "../../src/crypto/Primitives.ts"
import type * as Events from "../../src/Events.ts"
import * as Gossip from "../../src/Gossip.ts"
import * as Identity from "../../src/Identity.ts"
import * as Lan from "../../src/Lan.ts"
import type { ListenError } from "../../src/ListenError.ts"
import * as Lookup from "../../src/Lookup.ts"
import type { Multiserver } from "../../src/Multiserver.ts"
import { turns } from "../support/servers.ts"
import { keyPair, program, record, signed, source } from "./support.ts"

const found = (key: Identity.PublicKey) =>
  Effect.map(Stream.runCollect(Lookup.find(key)), (records) => records.map(({ sequence }) => sequence))

const over = (
  sources: ReadonlyArray<Lookup.Source>,
  pair: Identity.KeyPair,
  events: Array<Events.Event> = [],
  options: Lookup.Options = {}
) =>
  Lookup.layer(
    sources.map((each) => Effect.succeed(each)),
    options
  ).pipe(Layer.provide(program(pair, events)))

const told = (events: ReadonlyArray<Events.Event>) =>
  events.map((event) => (event._tag === "RecordRefused" ? `${event.source}: ${event.tag}` : event._tag))

describe("find", () => {
  it.effect("takes the newest record of the key, and tells of each that is not to be believed", () =>
    Effect.gen(function* () {
      const [peer, other] = [yield* keyPair, yield* keyPair]
      const old = yield* record(peer, 1, ["net:192.0.2.1:8008"])
      const now = yield* record(peer, 2, ["net:192.0.2.2:8008"])
      const forged = now.bytes.slice()
      forged[100] = 1 + (forged[100] ?? 0)
      const expired = yield* record(peer, 3, ["net:192.0.2.3:8008"], 0)
      const events: Array<Events.Event> = []
      const liar = source("liar", [
        signed({ bytes: forged }),
        signed({ bytes: new Uint8Array(1001) }),
        signed({ bytes: new Uint8Array(0) }),
        signed(yield* record(other, 9, ["net:192.0.2.9:8008"])),
        signed(old)
      ])
      const layer = over(
        [liar, source("honest", [signed(now), signed(old), signed(now), signed(expired)])],
        peer,
        events
      )
      yield* Effect.gen(function* () {
        // Expired means that the peer expected to have published again: its record is still the newest.
        assert.deepStrictEqual((yield* found(peer.publicKey)).at(-1), 3)
        assert.deepStrictEqual(told(events), ["liar: Forged", "liar: TooLarge", "liar: Malformed", "liar: OtherPeer"])
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("gives a replayed record no chance once a newer one was seen", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const [old, now] = [yield* record(peer, 1, []), yield* record(peer, 2, [])]
      let answer: ReadonlyArray<Lookup.Offer> = [signed(now)]
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* found(peer.publicKey), [2])
        answer = [signed(old)]
        assert.deepStrictEqual(yield* found(peer.publicKey), [2])
      }).pipe(Effect.provide(over([source("replays", () => Stream.fromIterable(answer))], peer)))
    })
  )

  it.effect("tells of two records of one sequence, and keeps the first", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const [first, second] = [yield* record(peer, 7, ["net:192.0.2.1:1"]), yield* record(peer, 7, ["net:192.0.2.2:1"])]
      const events: Array<Events.Event> = []
      yield* Effect.gen(function* () {
        const records = yield* Stream.runCollect(Lookup.find(peer.publicKey))
        assert.deepStrictEqual(
          records.map(({ addresses }) => addresses),
          [["net:192.0.2.1:1"]]
        )
        assert.deepStrictEqual(events, [
          { _tag: "RecordConflict", source: "two-faced", peer: Identity.formatPublicKey(peer.publicKey), sequence: 7 }
        ])
      }).pipe(Effect.provide(over([source("two-faced", [signed(first), signed(second)])], peer, events)))
    })
  )

  it.effect("begins with what is known, and asks nobody for a reader who wants no more", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      let asked = 0
      const counting = source("counting", () => {
        asked++
        return Stream.fromEffect(Effect.map(record(peer, 5, []), signed))
      })
      yield* Effect.gen(function* () {
        yield* found(peer.publicKey)
        yield* Stream.runHead(Lookup.find(peer.publicKey))
        assert.strictEqual(asked, 1)
        yield* found(peer.publicKey)
        assert.strictEqual(asked, 2)
      }).pipe(Effect.provide(over([counting], peer)))
    })
  )

  it.effect("asks again after a week about a record that says it is valid for ever", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const forever = (sequence: number) => record(peer, sequence, ["net:192.0.2.1:8008"], Number.MAX_SAFE_INTEGER)
      let answer = yield* forever(1)
      const moving = source("moving", () => Stream.suspend(() => Stream.succeed(signed(answer))))
      yield* Effect.gen(function* () {
        const first = Effect.map(
          Stream.runCollect(Stream.take(Lookup.find(peer.publicKey), 1)),
          ([one]) => one?.sequence
        )
        assert.strictEqual(yield* first, 1)
        answer = yield* forever(2)
        yield* TestClock.adjust("6 days")
        assert.strictEqual(yield* first, 1)
        yield* TestClock.adjust("1 day")
        assert.strictEqual(yield* first, 2)
      }).pipe(Effect.provide(Layer.provide(Lookup.layer([Effect.succeed(moving)]), program(peer))))
    })
  )

  it.effect("waits for a silent source only as long as its patience, while others answer", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const own = yield* record(peer, 1, [])
      const events: Array<Events.Event> = []
      const silent = source("silent", () => Stream.never)
      const sources = [silent, source("honest", [signed(own)])]
      yield* Effect.gen(function* () {
        const heard = yield* Deferred.make<number>()
        const finding = yield* Lookup.find(peer.publicKey).pipe(
          Stream.runForEach(({ sequence }) => Deferred.succeed(heard, sequence)),
          Effect.forkChild
        )
        assert.strictEqual(yield* Deferred.await(heard), 1)
        assert.isUndefined(finding.pollUnsafe())
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(finding)
        assert.deepStrictEqual(events, [
          { _tag: "SourceFailed", source: "silent", message: "silent: no answer within 10000 ms", isRetryable: true }
        ])
      }).pipe(Effect.provide(over(sources, peer, events)))
    })
  )

  it.effect("listens to 16 answers of a source that never ends", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      let given = 0
      const endless = source("endless", () =>
        Stream.forever(
          Stream.fromEffect(
            Effect.map(
              Effect.sync(() => ++given),
              () => signed({ bytes: new Uint8Array(9) })
            )
          )
        )
      )
      const events: Array<Events.Event> = []
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* found(peer.publicKey), [])
        assert.strictEqual(events.length, 16)
      }).pipe(Effect.provide(over([endless], peer, events)))
    })
  )

  it.effect("fails with what each source says when nothing was found, and is empty when nobody failed", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const broken = source("broken", () => {
        throw new Error("a fault of the source")
      })
      const down = source("down", () =>
        Stream.fail(new Lookup.SourceError({ source: "down", detail: "out of order", isRetryable: true }))
      )
      const error = yield* Effect.flip(Effect.provide(found(peer.publicKey), over([broken, down], peer)))
      assert.deepStrictEqual(
        error.failures.map(({ message }) => message),
        ["broken: a defect in the code of this source", "down: out of order"]
      )
      assert.isTrue(error.isRetryable)
      assert.deepStrictEqual(yield* Effect.provide(found(peer.publicKey), over([source("empty", [])], peer)), [])
      assert.deepStrictEqual(yield* Effect.provide(found(peer.publicKey), over([], peer)), [])
    })
  )

  it.effect("interrupts the sources when its reader stops", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const [asked, left] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const slow = source("slow", () =>
        Stream.fromEffectDrain(
          Effect.onInterrupt(Effect.andThen(Deferred.succeed(asked, undefined), Effect.never), () =>
            Deferred.succeed(left, undefined)
          )
        )
      )
      yield* Effect.gen(function* () {
        const finding = yield* Effect.forkChild(found(peer.publicKey))
        yield* Deferred.await(asked)
        yield* Fiber.interrupt(finding)
        yield* Deferred.await(left)
      }).pipe(Effect.provide(over([slow], peer)))
    })
  )
})

describe("publish", () => {
  it.effect("gives every source the record, each newer than the one before", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const board = yield* Lookup.makeBoard()
      const text = "net:192.0.2.1:8008"
      yield* Effect.gen(function* () {
        const first = yield* Lookup.publish([text])
        const second = yield* Lookup.publish([])
        assert.isAbove(second.record.sequence, first.record.sequence)
        assert.deepStrictEqual([first.record.addresses, second.record.addresses], [[text], []])
        assert.strictEqual(first.record.expires, 3600)
      }).pipe(Effect.provide(over([board], peer)))
      assert.strictEqual((yield* Effect.provide(found(peer.publicKey), over([board], yield* keyPair))).length, 1)
    })
  )

  it.effect("goes on above the sequence that the sources have, though the clock went back", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const board = yield* Lookup.makeBoard()
      const far = 8_000_000_000_000
      yield* (board.publish ?? (() => Effect.void))(yield* record(peer, far, []))
      const { record: own } = yield* Effect.provide(Lookup.publish([]), over([board], peer))
      assert.strictEqual(own.sequence, far + 1)
    })
  )

  it.effect("asks for the last sequence until it has the answers, when the sources can't be reached at first", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const board = yield* Lookup.makeBoard()
      const far = 8_000_000_000_000
      yield* (board.publish ?? (() => Effect.void))(yield* record(peer, far, []))
      const down = new Lookup.SourceError({ source: "board", detail: "no network yet", isRetryable: true })
      let isUp = false
      const late: Lookup.Source = {
        ...board,
        find: (key) => (isUp ? board.find(key) : Stream.fail(down)),
        publish: (own) => (isUp ? (board.publish?.(own) ?? Effect.void) : Effect.fail(down))
      }
      yield* Effect.gen(function* () {
        yield* Effect.flip(Lookup.publish([]))
        yield* Effect.flip(Lookup.publish([]))
        isUp = true
        assert.strictEqual((yield* Lookup.publish([])).record.sequence, far + 1)
      }).pipe(Effect.provide(over([late], peer)))
    })
  )

  it.effect("succeeds when one source takes it, and says why others did not", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const board = yield* Lookup.makeBoard()
      const refusal = new Lookup.SourceError({ source: "full", detail: "no room", isRetryable: true })
      const full: Lookup.Source = { ...source("full", []), publish: () => Effect.fail(refusal) }
      const { failures } = yield* Effect.provide(Lookup.publish([]), over([full, board], peer))
      assert.deepStrictEqual(failures, [refusal])
      const error = yield* Effect.flip(Effect.provide(Lookup.publish([]), over([full], peer)))
      assert.strictEqual(error.message, "no source took the record; full: no room")
      const none = yield* Effect.flip(Effect.provide(Lookup.publish([]), over([source("read-only", [])], peer)))
      assert.include(none.message, "add a tracker, for example")
    })
  )

  it.effect("publishes a listener's addresses, again when they change and before they expire, as many as fit", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const published = yield* Queue.unbounded<number>()
      const log: Lookup.Source = {
        ...source("log", []),
        publish: ({ addresses }) => Effect.asVoid(Queue.offer(published, addresses.length))
      }
      const numbers = (count: number) =>
        Result.getOrThrow(Address.parse(Array.from({ length: count }, (_, i) => `net:192.0.2.1:${i + 1}`).join(";")))
      const moved = yield* Deferred.make<void>()
      const listener = {
        addressChanges: () =>
          Stream.concat(Stream.succeed(numbers(10)), Stream.fromEffect(Effect.as(Deferred.await(moved), numbers(1))))
      }
      yield* Effect.gen(function* () {
        yield* Effect.forkChild(Lookup.publishing(listener))
        assert.strictEqual(yield* Queue.take(published), 8)
        yield* TestClock.adjust("19 minutes")
        assert.strictEqual(yield* Queue.size(published), 0)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* Queue.take(published), 8)
        yield* Deferred.succeed(moved, undefined)
        assert.strictEqual(yield* Queue.take(published), 1)
      }).pipe(Effect.provide(over([log], peer)))
    })
  )

  const somewhere = Result.getOrThrow(Address.parse("net:192.0.2.1:8008"))
  const counting = Effect.map(Queue.unbounded<number>(), (published) => ({
    published,
    log: {
      ...source("log", []),
      publish: ({ addresses }: { readonly addresses: ReadonlyArray<string> }) =>
        Effect.asVoid(Queue.offer(published, addresses.length))
    }
  }))

  it.effect("publishes again before the record expires, however long it is told to wait", () =>
    Effect.gen(function* () {
      const { log, published } = yield* counting
      const listener = { addressChanges: () => Stream.concat(Stream.succeed(somewhere), Stream.never) }
      yield* Effect.gen(function* () {
        yield* Effect.forkChild(Lookup.publishing(listener, { every: "1 day" }))
        assert.strictEqual(yield* Queue.take(published), 1)
        yield* turns
        yield* TestClock.adjust("5 minutes")
        assert.strictEqual(yield* Queue.take(published), 1)
      }).pipe(Effect.provide(over([log], yield* keyPair, [], { validity: "10 minutes" })))
    })
  )

  it.effect("publishes nothing while a listener has no address that can be dialed from there", () =>
    Effect.gen(function* () {
      const { log, published } = yield* counting
      const moved = yield* Deferred.make<void>()
      const listener = {
        addressChanges: () =>
          Stream.concat(Stream.succeed([]), Stream.fromEffect(Effect.as(Deferred.await(moved), somewhere))).pipe(
            Stream.concat(Stream.never)
          )
      }
      yield* Effect.gen(function* () {
        yield* Effect.forkChild(Lookup.publishing(listener))
        yield* turns
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(yield* Queue.size(published), 0)
        yield* Deferred.succeed(moved, undefined)
        assert.strictEqual(yield* Queue.take(published), 1)
      }).pipe(Effect.provide(over([log], yield* keyPair)))
    }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
  )

  it.effect("goes on above its own last record, though look-ups have pushed that out and the clock went back", () =>
    Effect.gen(function* () {
      const [peer, other] = [yield* keyPair, yield* keyPair]
      const others = source("others", [signed(yield* record(other, 1, []))])
      const { log } = yield* counting
      yield* Effect.gen(function* () {
        yield* TestClock.setTime(10_000_000)
        const before = yield* Lookup.publish(somewhere)
        yield* found(other.publicKey)
        yield* TestClock.setTime(5_000_000)
        const after = yield* Lookup.publish(somewhere)
        assert.strictEqual(after.record.sequence, before.record.sequence + 1)
      }).pipe(Effect.provide(over([log, others], peer, [], { records: { keys: 1 } })))
    })
  )

  it.effect("is told by a board that has a newer record of the peer, or another one of that sequence", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const { publish = () => Effect.die("it takes records") } = yield* Lookup.makeBoard()
      yield* publish(yield* record(peer, 5, []))
      yield* publish(yield* record(peer, 5, []))
      assert.include((yield* Effect.flip(publish(yield* record(peer, 4, [])))).message, "newer")
      assert.include((yield* Effect.flip(publish(yield* record(peer, 5, ["net:h:1"])))).message, "same sequence")
    })
  )

  it.effect("tries again what failed, less and less often, but at least every six minutes", () =>
    Effect.gen(function* () {
      const tries: Array<number> = []
      const refusal = new Lookup.SourceError({ source: "full", detail: "no room", isRetryable: true })
      const tried = Effect.map(Clock.currentTimeMillis, (now) => tries.push(now / 60_000))
      const full: Lookup.Source = { ...source("full", []), publish: () => Effect.andThen(tried, Effect.fail(refusal)) }
      const listener = { addressChanges: () => Stream.concat(Stream.succeed(somewhere), Stream.never) }
      yield* Effect.gen(function* () {
        yield* Effect.forkChild(Lookup.publishing(listener))
        for (let minute = 0; minute < 60; minute++) yield* Effect.andThen(turns, TestClock.adjust("1 minute"))
        const gaps = tries.slice(1).map((at, i) => at - (tries[i] ?? 0))
        assert.isAtMost(Math.max(...gaps), 7)
        assert.isAtMost(tries.length, 30)
      }).pipe(Effect.provide(over([full], yield* keyPair)))
    }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
  )
})

describe("what is remembered", () => {
  it.effect("outlives the program in a KeyValueStore, and what is damaged there is left out", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const store = yield* KeyValueStore.KeyValueStore
      const [a, b] = [yield* record(peer, 3, []), yield* record(yield* keyPair, 4, [])]
      const both = [
        source("both", (key) => Stream.fromIterable([a, b].filter(({ publicKey }) => publicKey === key).map(signed)))
      ]
      yield* Effect.provide(Effect.andThen(found(a.publicKey), found(b.publicKey)), over(both, peer, [], { store }))
      const none = over([], peer, [], { store })
      assert.deepStrictEqual(yield* Effect.provide(found(a.publicKey), none), [3])
      const [name = ""] = yield* store.keys
      const bytes = (yield* store.getUint8Array(name)) ?? new Uint8Array()
      bytes[50] = 1 + (bytes[50] ?? 0)
      yield* store.set(name, bytes)
      const left = yield* Effect.provide(Effect.all([found(a.publicKey), found(b.publicKey)]), none)
      assert.strictEqual(left.flat().length, 1)
      yield* store.set(name, new Uint8Array([255, 255, 1]))
      assert.deepStrictEqual(yield* Effect.provide(found(a.publicKey), none), [])
    }).pipe(Effect.provide(KeyValueStore.layerMemory))
  )
})

describe("a KeyValueStore that is slow", () => {
  it.effect("has a record that it was storing when the program ended", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const memory = yield* KeyValueStore.KeyValueStore
      const [begun, mayEnd] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const wait = Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(mayEnd))
      const store: KeyValueStore.KeyValueStore = {
        ...memory,
        set: (name, value) => Effect.andThen(wait, memory.set(name, value))
      }
      const knows = source("knows", [signed(yield* record(peer, 3, []))])
      const ended = yield* Effect.gen(function* () {
        yield* found(peer.publicKey)
        yield* TestClock.adjust("1 second")
        yield* Deferred.await(begun)
      }).pipe(Effect.provide(over([knows], peer, [], { store })), Effect.forkChild)
      yield* Deferred.await(begun)
      yield* turns
      yield* Deferred.succeed(mayEnd, undefined)
      yield* Fiber.join(ended)
      assert.deepStrictEqual(yield* Effect.provide(found(peer.publicKey), over([], peer, [], { store: memory })), [3])
    }).pipe(Effect.provide(KeyValueStore.layerMemory))
  )
})

describe("several sources", () => {
  it("need together what each of them needs, and fail with what each of them may fail with", () => {
    const all = Lookup.layer([
      Lookup.fromFile("records"),
      Lookup.makeBoard(),
      Gossip.source({ peers: [] }),
      Lan.source()
    ])
    const typed: Layer.Layer<
      Lookup.Lookup,
      Address.AddressError | Gossip.GossipError | ListenError | Lan.LanError,
      FileSystem.FileSystem | Identity.Identity | Multiserver | Primitives
    > = all
    assert.isTrue(Layer.isLayer(typed))
    // @ts-expect-error: `fromFile` needs a FileSystem, too.
    const missing: Layer.Layer<Lookup.Lookup, unknown, Identity.Identity | Multiserver | Primitives> = all
    assert.isTrue(Layer.isLayer(missing))
  })
})

describe("a file of records", () => {
  it.live("is read at each question, and its bad lines are left out", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), "records-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(folder, { recursive: true })))
      const file = path.join(folder, "records")
      const line = ({ bytes }: { readonly bytes: Uint8Array }) => `${Base64.encode(bytes)}\n`
      const lookup = Lookup.layer([Lookup.fromFile(file)]).pipe(Layer.provide([program(peer), NodeServices.layer]))
      yield* Effect.gen(function* () {
        const error = yield* Effect.flip(found(peer.publicKey))
        assert.include(error.message, `file ${file}: it can't be read`)
        assert.propertyVal(error.failures[0]?.cause, "_tag", "PlatformError")
        fs.writeFileSync(
          file,
          `# friends\n\nno record\n${line(yield* record(yield* keyPair, 1, []))}${line(yield* record(peer, 8, []))}`
        )
        assert.deepStrictEqual(yield* found(peer.publicKey), [8])
        fs.writeFileSync(file, line(yield* record(peer, 9, [])))
        assert.deepStrictEqual(yield* found(peer.publicKey), [8, 9])
        fs.writeFileSync(file, "x".repeat(2 ** 20 + 1))
        assert.include((yield* Effect.flip(found((yield* keyPair).publicKey))).message, "more than 1048576 bytes")
      }).pipe(Effect.provide(lookup))
    })
  )
})
