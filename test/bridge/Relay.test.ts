import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Relay from "../../src/bridge/Relay.ts"
import { type Connection, destroy } from "../../src/Connection.ts"
import type { ConnectionError } from "../../src/ConnectionError.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { echo, multiserver, pair, pattern, readAll, sameBytes } from "../support/servers.ts"
import { reasonOf } from "./contract.ts"

const text = (bytes: Uint8Array): string => String(Buffer.from(bytes))

/** It was broken off, and nobody said goodbye. */
const assertBroken = (connection: Connection) =>
  Effect.map(Effect.flip(connection.pull), (error) => {
    assert.isFalse(Cause.isDone(error))
    assert.include(["Truncated", "Reset"], reasonOf(error))
  })

/** Two peers that know nothing of each other, and the relay between them. */
const relayed = (left: string, right: string) =>
  Effect.gen(function* () {
    const [one, a] = yield* pair(left)
    const [other, b] = yield* pair(right)
    const relaying = yield* Effect.forkChild(Relay.between(a, b), { startImmediately: true })
    return { one, other, relaying }
  })

describe.each([
  ["net:127.0.0.1:0~shs", "net:127.0.0.1:0"],
  ["memory:left", "memory:right~shs"]
])("a relay between %s and %s", (left, right) => {
  it.live("carries both ways at once, to the last byte", () =>
    Effect.gen(function* () {
      const { one, other, relaying } = yield* relayed(left, right)
      const [there, back] = [pattern(3_000_001, 1), pattern(2_000_003, 2)]
      const say = (who: typeof one, bytes: Uint8Array) => Effect.andThen(who.write(bytes), who.end)
      const [gotThere, gotBack] = yield* Effect.all(
        [readAll(other), readAll(one), say(one, there), say(other, back)] as const,
        { concurrency: "unbounded" }
      )
      assert.isTrue(sameBytes(gotThere, there))
      assert.isTrue(sameBytes(gotBack, back))
      yield* Fiber.join(relaying)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("passes the end of one side on, and goes on with the other", () =>
    Effect.gen(function* () {
      const { one, other, relaying } = yield* relayed(left, right)
      yield* one.write(Buffer.from("question"))
      yield* one.end
      assert.strictEqual(text(yield* readAll(other)), "question")
      yield* other.write(Buffer.from("long after, the answer"))
      yield* other.end
      assert.strictEqual(text(yield* readAll(one)), "long after, the answer")
      yield* Fiber.join(relaying)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("stops who sends while the other one doesn't read, and loses nothing", () =>
    Effect.gen(function* () {
      const { one, other } = yield* relayed(left, right)
      const bytes = pattern(32 * 1024 * 1024)
      let sent = 0
      const sending = yield* Effect.forkChild(
        Effect.gen(function* () {
          for (; sent < bytes.length; sent += 65536) yield* one.write(bytes.subarray(sent, sent + 65536))
          yield* one.end
        })
      )
      for (let before = -1; before < sent || sent === 0; ) {
        before = sent
        yield* Effect.sleep("300 millis")
      }
      assert.isBelow(sent, bytes.length)
      assert.isTrue(sameBytes(yield* readAll(other), bytes))
      yield* Fiber.join(sending)
    }).pipe(Effect.provide(multiserver()))
  )
})

describe("a relay", () => {
  it.live.each(["one", "other"] as const)("destroys both when %s breaks: truncated here, truncated there", (breaks) =>
    Effect.gen(function* () {
      const ends = yield* relayed("memory:left~shs", "memory:right~shs")
      const survives = breaks === "one" ? ends.other : ends.one
      yield* ends[breaks].write(Buffer.from("half of wh"))
      assert.strictEqual(text((yield* survives.pull)[0]), "half of wh")
      yield* destroy(ends[breaks])
      yield* assertBroken(survives)
      assert.include(["Truncated", "Reset"], reasonOf(yield* Effect.flip(Fiber.join(ends.relaying))))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("destroys one side that has ended, when the other one breaks in the middle of its answer", () =>
    Effect.gen(function* () {
      const { one, other } = yield* relayed("memory:left~shs", "memory:right~shs")
      yield* one.end
      yield* readAll(other)
      yield* other.write(Buffer.from("half of the ans"))
      yield* one.pull
      yield* destroy(other)
      yield* assertBroken(one)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("destroys both sides when it is interrupted", () =>
    Effect.gen(function* () {
      const { one, other, relaying } = yield* relayed("memory:left~shs", "memory:right~shs")
      yield* one.write(Buffer.from("half"))
      yield* other.pull
      yield* Fiber.interrupt(relaying)
      for (const side of [one, other]) yield* assertBroken(side)
    }).pipe(Effect.provide(multiserver()))
  )
})

describe("a relay to a side without keys", () => {
  it.live.each(["net:127.0.0.1:0~shs", "net:127.0.0.1:0"])("makes no clean end of what breaks %s", (keyed) =>
    Effect.gen(function* () {
      const { one, other, relaying } = yield* relayed(keyed, "net:127.0.0.1:0")
      yield* one.write(Buffer.from("half of wh"))
      assert.strictEqual(text((yield* other.pull)[0]), "half of wh")
      yield* destroy(one)
      yield* assertBroken(other)
      yield* Fiber.await(relaying)
    }).pipe(Effect.provide(multiserver()))
  )
})

describe("a relay whose listener drains", () => {
  /** A relay behind a listener, which `stop` stops. */
  const behindListener = Effect.gen(function* () {
    const [other, b] = yield* pair("memory:right~shs")
    const scope = yield* Scope.fork(yield* Effect.scope)
    const outcome = yield* Deferred.make<void, ConnectionError>()
    const listener = yield* Scope.provide(Multiserver.listen("memory:left~shs"), scope)
    yield* Effect.forkScoped(
      listener.run((a) => Relay.between(a, b).pipe(Effect.onExit((exit) => Deferred.done(outcome, exit))))
    )
    const [address] = listener.addresses()
    const one = yield* Multiserver.dial(address ?? "")
    return { one, other, outcome, stop: Scope.close(scope, Exit.void) }
  })

  it.live("carries the answer to its end, when the question was complete", () =>
    Effect.gen(function* () {
      const { one, other, outcome, stop } = yield* behindListener
      yield* one.write(Buffer.from("question"))
      yield* one.end
      assert.strictEqual(text(yield* readAll(other)), "question")
      const stopping = yield* Effect.forkChild(stop, { startImmediately: true })
      yield* other.write(Buffer.from("answer"))
      yield* other.end
      assert.strictEqual(text(yield* readAll(one)), "answer")
      yield* Deferred.await(outcome)
      yield* Fiber.join(stopping)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("gives who answers no goodbye for a question that was cut off, and its answer goes through", () =>
    Effect.gen(function* () {
      const { one, other, outcome, stop } = yield* behindListener
      yield* one.write(Buffer.from("half of a quest"))
      yield* other.pull
      const stopping = yield* Effect.forkChild(stop, { startImmediately: true })
      yield* other.write(Buffer.from("enough"))
      yield* other.end
      assert.strictEqual(text(yield* readAll(one)), "enough")
      assert.strictEqual(reasonOf(yield* Effect.flip(Deferred.await(outcome))), "LocallyClosed(draining)")
      yield* assertBroken(other)
      yield* Fiber.join(stopping)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("destroys both sides when the grace time is over", () =>
    Effect.gen(function* () {
      const { one, other, stop } = yield* behindListener
      yield* Effect.forkChild(echo(other), { startImmediately: true })
      yield* one.write(Buffer.from("and"))
      yield* one.pull
      yield* stop
      yield* assertBroken(one)
    }).pipe(Effect.provide(multiserver()))
  )
})
