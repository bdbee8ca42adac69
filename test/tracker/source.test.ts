/** A tracker as a source of `Lookup`: what it is asked, how it is dialed, and what trackers that lie can do. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Connection from "../../src/Connection.ts"
import * as Events from "../../src/Events.ts"
import * as Lookup from "../../src/Lookup.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Tracker from "../../src/Tracker.ts"
import { turns, until } from "../support/servers.ts"
import { answering, first, lookupBy, type Person, passing, people, recordOf, written } from "./support.ts"

/** A tracker in memory that keeps to the rules, and how many connections it has and had. */
const honest = (server: Person) =>
  Effect.gen(function* () {
    const counts = { open: 0, all: 0, ends: [] as Array<string> }
    const handler = yield* server.as(Tracker.make())
    const listener = yield* server.as(Multiserver.listen("memory:tracker~shs"))
    const counted = (connection: Connection.Connection) =>
      Effect.suspend(() => {
        counts.open++
        counts.all++
        return handler(connection)
      }).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            counts.open--
            counts.ends.push(Exit.isSuccess(exit) ? "goodbye" : "broken")
          })
        )
      )
    yield* Effect.forkScoped(listener.run(counted))
    return { at: listener.addresses(), counts }
  })

/** A tracker that does this with each connection, and how many it had. */
const hostile = (server: Person, handle: (connection: Connection.Connection) => Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    const counts = { all: 0 }
    const scope = yield* Scope.fork(yield* Effect.scope)
    // A handler that never returns uses up the time that a listener gives.
    yield* Effect.addFinalizer(() => passing(Scope.close(scope, Exit.void)))
    const listener = yield* Scope.provide(server.as(Multiserver.listen("memory:tracker~shs")), scope)
    const counted = (connection: Connection.Connection) =>
      Effect.suspend(() => {
        counts.all++
        return Effect.ignore(handle(connection))
      })
    yield* Effect.forkIn(listener.run(counted), scope)
    return { at: listener.addresses(), counts }
  })

/** The failure of the only source. */
const failure = (lookup: Lookup.Lookup["Service"], { pair }: Person) =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(Stream.runCollect(lookup.find(pair.publicKey)))
    const [only] = error.failures
    return yield* Effect.fromNullishOr(only)
  })

describe("the source of a tracker", () => {
  it.effect("publishes, and finds what others have published, over one connection that is kept while it is used", () =>
    Effect.gen(function* () {
      const somebody = yield* people
      const { at, counts } = yield* honest(yield* somebody)
      const [alice, bob] = [yield* somebody, yield* somebody]
      const ofAlice = yield* lookupBy(alice, { at })
      const { record } = yield* ofAlice.publish(["memory:alice~shs"])
      const ofBob = yield* lookupBy(bob, { at })
      assert.strictEqual(counts.open, 1)
      const found = yield* Effect.all(
        Array.from({ length: 20 }, () => first(ofBob, alice.pair.publicKey)),
        { concurrency: "unbounded" }
      )
      for (const each of found) assert.deepStrictEqual(each?.bytes, record.bytes)
      assert.deepStrictEqual(counts, { open: 2, all: 2, ends: [] })

      // Idle for half a minute: it leaves with a goodbye, and dials again when it is asked again.
      yield* TestClock.adjust("31 seconds")
      yield* passing(until(() => counts.open === 0))
      assert.deepStrictEqual(counts.ends, ["goodbye", "goodbye"])
      assert.isUndefined(yield* first(ofBob, bob.pair.publicKey))
      assert.deepInclude(counts, { open: 1, all: 3 })
    })
  )

  it.effect("is not dialed before it is asked, and is dialed again after its tracker was away", () =>
    Effect.gen(function* () {
      const somebody = yield* people
      const [server, alice] = [yield* somebody, yield* somebody]
      const scope = yield* Scope.fork(yield* Effect.scope)
      const { at } = yield* Scope.provide(honest(server), scope)
      const lookup = yield* lookupBy(alice, { at })
      const again = yield* Scope.fork(yield* Effect.scope)
      assert.isUndefined(yield* first(lookup, alice.pair.publicKey))
      yield* passing(Scope.close(scope, Exit.void))
      const error = yield* failure(lookup, alice)
      assert.isTrue(error.isRetryable)
      assert.include(error.message, "tracker memory:tracker~shs:")
      const { counts } = yield* Scope.provide(honest(server), again)
      assert.isUndefined(yield* first(lookup, alice.pair.publicKey))
      assert.strictEqual(counts.all, 1)
      yield* passing(Scope.close(again, Exit.void))
    })
  )

  it.effect("says why a record is refused", () =>
    Effect.gen(function* () {
      const somebody = yield* people
      const { at } = yield* honest(yield* somebody)
      const alice = yield* somebody
      const source = yield* alice.as(Tracker.source({ at }))
      const publish = source.publish
      if (publish === undefined) return assert.fail("it can be published to")
      yield* publish(yield* recordOf(alice, { sequence: 5 }))
      const error = yield* Effect.flip(publish(yield* recordOf(alice, { sequence: 4 })))
      assert.include(error.detail, "the tracker has a newer record, with the sequence 5")
      assert.isFalse(error.isRetryable)
    })
  )

  it.effect("tells nothing to a tracker that proves no key", () =>
    Effect.gen(function* () {
      const somebody = yield* people
      const alice = yield* somebody
      let bytes = 0
      const server = yield* somebody
      const listener = yield* server.as(Multiserver.listen("memory:open"))
      const listen = (connection: Connection.Connection) =>
        Effect.forever(
          Effect.map(connection.pull, (chunks) => {
            bytes += chunks.length
          })
        )
      yield* Effect.forkScoped(listener.run(listen))
      const error = yield* failure(yield* lookupBy(alice, { at: "memory:open" }), alice)
      assert.isFalse(error.isRetryable)
      assert.include(error.message, "proves no key")
      yield* turns
      assert.strictEqual(bytes, 0)
    })
  )

  it.effect("stands beside other sources, of which each needs other services", () =>
    Effect.gen(function* () {
      const somebody = yield* people
      const { at } = yield* honest(yield* somebody)
      const { layer, pair } = yield* somebody
      const all = Lookup.layer([Tracker.source({ at }), Lookup.makeBoard(), Lookup.fromFile("/nowhere")])
      const context = yield* Layer.build(all.pipe(Layer.provide([layer, FileSystem.layerNoop({})])))
      const { record } = yield* Context.get(context, Lookup.Lookup).publish(["memory:here~shs"])
      assert.deepStrictEqual(record.publicKey, pair.publicKey)
    })
  )

  it.effect("is interrupted at once, while it dials and while it waits", () =>
    Effect.gen(function* () {
      const somebody = yield* people
      const { at, counts } = yield* hostile(yield* somebody, () => Effect.never)
      const alice = yield* somebody
      const lookup = yield* lookupBy(alice, { at })
      const dialing = yield* Effect.forkChild(first(lookup, alice.pair.publicKey), { startImmediately: true })
      yield* Fiber.interrupt(dialing)
      const waiting = yield* Effect.forkChild(first(lookup, alice.pair.publicKey))
      yield* until(() => counts.all > 0)
      yield* turns
      yield* Fiber.interrupt(waiting)
    })
  )
})

describe("a hostile tracker", () => {
  const garbage = new Uint8Array(300).fill(0xab)
  const megabyte = new Uint8Array(2 ** 20)

  it.effect.each([
    { how: "speaks garbage", says: garbage, detail: "it does not speak as a tracker does", isRetryable: false },
    { how: "sends 1 MiB", says: megabyte, detail: "it sends more than it was asked for", isRetryable: false },
    { how: "leaves without an answer", says: undefined, detail: "it has ended the connection", isRetryable: true }
  ])("that $how is a failure that says so", ({ detail, isRetryable, says }) =>
    Effect.gen(function* () {
      const somebody = yield* people
      const handle = ({ pull, write }: Connection.Connection) =>
        Effect.andThen(pull, says === undefined ? Effect.void : Effect.andThen(write(says), Effect.never))
      const { at, counts } = yield* hostile(yield* somebody, handle)
      const alice = yield* somebody
      const lookup = yield* lookupBy(alice, { at })
      for (const times of [1, 2]) {
        const error = yield* failure(lookup, alice)
        assert.deepInclude(error, { detail, isRetryable })
        // It is dialed again the next time.
        assert.strictEqual(counts.all, times)
      }
    })
  )

  it.effect("that dies in the middle of an answer is a failure that may pass", () =>
    Effect.gen(function* () {
      const somebody = yield* people
      const part = (yield* written({ _tag: "Ping" })).subarray(0, 2)
      const { at } = yield* hostile(yield* somebody, (connection) =>
        connection.pull.pipe(
          Effect.andThen(connection.write(part)),
          Effect.andThen(connection.flush),
          Effect.andThen(Connection.destroy(connection))
        )
      )
      const alice = yield* somebody
      const error = yield* failure(yield* lookupBy(alice, { at }), alice)
      assert.isTrue(error.isRetryable)
    })
  )

  it.effect("that never stops sending is left, also when nothing is asked", () =>
    Effect.gen(function* () {
      const somebody = yield* people
      const pong = yield* written({ _tag: "Ping" })
      let isOver = false
      const { at } = yield* hostile(yield* somebody, ({ pull, write }) =>
        Effect.ensuring(
          Effect.andThen(pull, Effect.forever(write(pong))),
          Effect.sync(() => {
            isOver = true
          })
        )
      )
      const alice = yield* somebody
      const error = yield* failure(yield* lookupBy(alice, { at }), alice)
      assert.strictEqual(error.detail, "it does not speak as a tracker does")
      yield* until(() => isOver)
    })
  )

  it.effect("that is silent is given up after 5 seconds, and dialed again", () =>
    Effect.gen(function* () {
      const somebody = yield* people
      const { at, counts } = yield* hostile(yield* somebody, () => Effect.never)
      const alice = yield* somebody
      const lookup = yield* lookupBy(alice, { at })
      for (const times of [1, 2]) {
        const asked = yield* Effect.forkChild(failure(lookup, alice))
        yield* until(() => counts.all === times)
        yield* turns
        yield* TestClock.adjust("5 seconds")
        const error = yield* Fiber.join(asked)
        assert.deepInclude(error, { detail: "no answer within 5000 ms", isRetryable: true })
      }
    })
  )

  it.effect("that is silent is dialed again, also when nobody waits for it that long", () =>
    Effect.gen(function* () {
      const somebody = yield* people
      const { at, counts } = yield* hostile(yield* somebody, () => Effect.never)
      const alice = yield* somebody
      const lookup = yield* lookupBy(alice, { at }, { patience: "2 seconds" })
      const dials: Array<number> = []
      for (let i = 0; i < 6; i++) {
        const asked = yield* Effect.forkChild(failure(lookup, alice))
        yield* turns
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(asked)
        dials.push(counts.all)
      }
      assert.deepStrictEqual(dials, [1, 1, 1, 2, 2, 2])
    })
  )

  it.effect("can't have a record believed that is not the peer's, or no record", () =>
    Effect.gen(function* () {
      const somebody = yield* people
      const [alice, mallory] = [yield* somebody, yield* somebody]
      const own = yield* recordOf(alice)
      const forged = own.bytes.slice()
      forged[forged.length - 1] = (forged[forged.length - 1] ?? 0) ^ 1
      let answer = forged
      const at = yield* answering(yield* somebody, "memory:tracker~shs", () => Effect.succeed([answer]))
      const refused: Array<string> = []
      const events = Events.layer((event) =>
        Effect.sync(() => void (event._tag === "RecordRefused" && refused.push(event.tag)))
      )
      const lookup = yield* lookupBy(alice, { at }).pipe(Effect.provide(events))
      assert.isUndefined(yield* first(lookup, alice.pair.publicKey))
      answer = (yield* recordOf(mallory)).bytes.slice()
      assert.isUndefined(yield* first(lookup, alice.pair.publicKey))
      answer = new Uint8Array(10)
      assert.isUndefined(yield* first(lookup, alice.pair.publicKey))
      assert.deepStrictEqual(refused, ["Forged", "OtherPeer", "Malformed"])
      answer = own.bytes.slice()
      assert.deepStrictEqual((yield* first(lookup, alice.pair.publicKey))?.bytes, own.bytes)
      // An older one changes nothing, and is what a tracker can do.
      answer = (yield* recordOf(alice, { sequence: 0 })).bytes.slice()
      assert.deepStrictEqual((yield* first(lookup, alice.pair.publicKey))?.bytes, own.bytes)
    })
  )

  it.effect.each([
    { how: "many records", answer: Effect.succeed([new Uint8Array(1), new Uint8Array(2)]) },
    { how: "a record that is too long", answer: Effect.succeed([new Uint8Array(1001)]) },
    { how: "a defect", answer: Effect.die({ _tag: "ConnectionError", message: "\u001b[2J" }) },
    { how: "an interruption", answer: Effect.interrupt }
  ])("that answers with $how fails its own source, and nobody else", ({ answer }) =>
    Effect.gen(function* () {
      const somebody = yield* people
      const at = yield* answering(yield* somebody, "memory:tracker~shs", () => answer)
      const alice = yield* somebody
      const asked = yield* Effect.exit(failure(yield* lookupBy(alice, { at }), alice))
      if (Exit.isFailure(asked)) return assert.fail(Cause.pretty(asked.cause))
      assert.deepInclude(asked.value, { detail: "it does not speak as a tracker does", isRetryable: false })
    })
  )
})
