/** What each view of a connection promises, whatever world it is for: run by each of their tests. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import type * as Address from "../../src/Address.ts"
import * as Connection from "../../src/Connection.ts"
import { ConnectionError } from "../../src/ConnectionError.ts"
import type * as Events from "../../src/Events.ts"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import {
  echo,
  multiserver,
  pair,
  pattern,
  protocols,
  readAll,
  recorder,
  sameBytes,
  served,
  turns,
  until
} from "../support/servers.ts"

/** A view, driven in the words of its own world. */
export interface Driver {
  /** Succeeds when the view has acknowledged it. */
  readonly write: (chunk: Uint8Array) => Effect.Effect<void, unknown>
  readonly end: Effect.Effect<void, unknown>
  /** Some bytes, or `undefined` at the clean end. */
  readonly read: Effect.Effect<Uint8Array | undefined, unknown>
  /** Ends it as one does who has given up. */
  readonly abort: Effect.Effect<unknown, unknown>
}

export type Open = (connection: Connection.Connection) => Effect.Effect<Driver, unknown, Scope.Scope>

/** The bytes in pieces of 0 to 20,000 bytes. */
export const cuts = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => {
  const out: Array<Uint8Array> = []
  let at = 0
  for (let i = 0; at < bytes.length; i++) {
    const size = (i * 7919) % 20_000
    out.push(bytes.subarray(at, at + size))
    at += size
  }
  return out
}

/** The reason of the `ConnectionError` in a world's error. */
export const reasonOf = (error: unknown): string => {
  if (error instanceof ConnectionError) {
    return error.reason._tag === "LocallyClosed" ? `LocallyClosed(${error.reason.why})` : error.reason._tag
  }
  if (!Socket.isSocketError(error)) return `not a ConnectionError: ${error}`
  return "cause" in error.reason ? reasonOf(error.reason.cause) : `Close(${error.message})`
}

/** All that the view reads until the clean end. */
export const readDriver = (driver: Driver): Effect.Effect<Uint8Array, unknown> =>
  Effect.gen(function* () {
    const chunks: Array<Uint8Array> = []
    for (;;) {
      const chunk = yield* driver.read
      if (chunk === undefined) return new Uint8Array(Buffer.concat(chunks))
      chunks.push(chunk)
    }
  })

const writeDriver = (driver: Driver, chunks: ReadonlyArray<Uint8Array>) =>
  Effect.andThen(
    Effect.forEach(chunks, (chunk) => driver.write(chunk), { discard: true }),
    driver.end
  )

/** The next exception that nobody catches, which as long as the scope is no failure of the test. */
export const uncaught: Effect.Effect<Effect.Effect<unknown>, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const others = process.listeners("uncaughtException")
    process.removeAllListeners("uncaughtException")
    const thrown = new Promise((resolve) => process.once("uncaughtException", resolve))
    return { others, thrown }
  }),
  ({ others }) =>
    Effect.sync(() => {
      process.removeAllListeners("uncaughtException")
      for (const other of others) process.on("uncaughtException", other)
    })
).pipe(Effect.map(({ thrown }) => Effect.promise(() => thrown)))

/** Writes back all that it reads, then ends. */
const echoDriver = (driver: Driver): Effect.Effect<void, unknown> =>
  Effect.flatMap(driver.read, (chunk) =>
    chunk === undefined ? driver.end : Effect.andThen(driver.write(chunk), echoDriver(driver))
  )

/** A Multiserver with places for two conversations with itself. */
const twoAtOnce = (events: Array<Events.Event>) =>
  Multiserver.layer(["net~shs", "memory~shs"]).pipe(
    Layer.provide(protocols()),
    Layer.provide([Limits.layer({ connections: 4 }), recorder(events)])
  )

/** How far a writer of 8 MiB comes in many turns of the event loop in which nobody reads. */
const writer = <E>(write: (chunk: Uint8Array) => Effect.Effect<void, E>, end: Effect.Effect<void, E>) =>
  Effect.gen(function* () {
    const bytes = pattern(8 << 20)
    let accepted = 0
    const fiber = yield* Effect.gen(function* () {
      for (; accepted < bytes.length; accepted += 32 * 1024)
        yield* write(bytes.subarray(accepted, accepted + 32 * 1024))
      yield* end
    }).pipe(Effect.forkScoped)
    yield* Effect.repeat(Effect.sleep(0), { times: 50 })
    return { accepted, bytes, fiber }
  })

export const contract = (
  name: string,
  open: Open,
  /** Where the world can't do it: what the view holds is the user's to lose, or draining has no word. */
  without: ReadonlyArray<"held bytes" | "draining" | "late writes"> = []
): void => {
  describe.each(["memory:m~shs", "net:127.0.0.1:0~shs"])(`${name} over %s`, (target) => {
    it.live("carries 1 MiB in random cuts there and back, to a clean end", () =>
      Effect.gen(function* () {
        const bytes = pattern(1 << 20)
        const [address] = yield* served(target, echo)
        const driver = yield* Effect.flatMap(Multiserver.dial(address as Address.Address), open)
        yield* Effect.forkChild(writeDriver(driver, cuts(bytes)))
        assert.isTrue(sameBytes(yield* readDriver(driver), bytes))
      }).pipe(Effect.provide(multiserver()))
    )

    it.live("is over when both ends are: a handler that waits for that gives its place back", () => {
      const events: Array<Events.Event> = []
      return Effect.gen(function* () {
        // What its callbacks do is nothing that a handler could wait for otherwise.
        const [address] = yield* served(target, (connection) =>
          Effect.gen(function* () {
            yield* Effect.forkScoped(Effect.ignore(echoDriver(yield* open(connection))))
            yield* connection.closed
          })
        )
        for (let i = 1; i <= 6; i++) {
          const echoed = Effect.gen(function* () {
            const connection = yield* Multiserver.dial(address as Address.Address)
            yield* Effect.andThen(connection.write(pattern(10)), connection.end)
            return yield* readAll(connection)
          })
          assert.isTrue(sameBytes(yield* Effect.scoped(echoed), pattern(10)))
          const over = ({ _tag }: Events.Event) => _tag === "Closed"
          yield* until(() => events.filter(over).length === 2 * i)
        }
      }).pipe(Effect.provide(twoAtOnce(events)))
    })

    it.live("goes on reading after its own end", () =>
      Effect.gen(function* () {
        const [near, far] = yield* pair(target)
        const driver = yield* open(near)
        yield* driver.write(pattern(10))
        yield* driver.end
        assert.isTrue(sameBytes(yield* readAll(far), pattern(10)))
        yield* Effect.forkChild(Effect.andThen(far.write(pattern(300_000)), far.end))
        assert.isTrue(sameBytes(yield* readDriver(driver), pattern(300_000)))
      }).pipe(Effect.provide(multiserver()))
    )

    it.live("goes on writing after the peer's end", () =>
      Effect.gen(function* () {
        const [near, far] = yield* pair(target)
        const driver = yield* open(near)
        yield* far.end
        assert.isUndefined(yield* driver.read)
        yield* Effect.forkChild(writeDriver(driver, cuts(pattern(300_000))))
        assert.isTrue(sameBytes(yield* readAll(far), pattern(300_000)))
      }).pipe(Effect.provide(multiserver()))
    )

    it.live("gives the reason when the peer vanishes, after what had arrived", () =>
      Effect.gen(function* () {
        const [near, far] = yield* pair(target)
        const driver = yield* open(near)
        yield* far.write(pattern(1000))
        yield* far.flush
        assert.isTrue(sameBytes((yield* driver.read) as Uint8Array, pattern(1000)))
        yield* Connection.destroy(far)
        const error = yield* Effect.flip(driver.read)
        assert.strictEqual(reasonOf(error), target.startsWith("net") ? "Truncated" : "Reset")
      }).pipe(Effect.provide(multiserver()))
    )

    it.live("says no goodbye when it is aborted", () =>
      Effect.gen(function* () {
        const [near, far] = yield* pair(target)
        const driver = yield* open(near)
        yield* driver.write(pattern(10))
        assert.strictEqual((yield* far.pull)[0].length, 10)
        yield* driver.abort
        assert.include(["Truncated", "Reset"], reasonOf(yield* Effect.flip(readAll(far))))
      }).pipe(Effect.provide(multiserver()))
    )

    it.live("ends with its scope, and leaves the connection to the connection's own", () =>
      Effect.gen(function* () {
        const [near, far] = yield* pair(target)
        const scope = yield* Scope.make()
        const driver = yield* Scope.provide(open(near), scope)
        yield* driver.write(pattern(10))
        const parked = yield* Effect.forkChild(driver.read, { startImmediately: true })
        yield* Scope.close(scope, Exit.void)
        assert.isTrue(Exit.isFailure(yield* Fiber.await(parked)))
        if (!without.includes("late writes")) {
          assert.isTrue(Exit.isFailure(yield* Effect.exit(driver.write(pattern(1)))))
        }
        yield* near.end
        assert.isTrue(sameBytes(yield* readAll(far), pattern(10)))
      }).pipe(Effect.provide(multiserver()))
    )

    if (!without.includes("draining")) {
      it.live("is told when the listener stops, and what was written gets its goodbye", () =>
        Effect.gen(function* () {
          let reason = ""
          const written = yield* Deferred.make<void>()
          const scope = yield* Scope.make()
          const [address] = yield* served(target, (connection) =>
            Effect.gen(function* () {
              const driver = yield* open(connection)
              yield* driver.write(pattern(100_000))
              yield* Deferred.succeed(written, undefined)
              reason = reasonOf(yield* Effect.flip(driver.read))
            })
          ).pipe(Scope.provide(scope))
          const connection = yield* Multiserver.dial(address as Address.Address)
          const received = yield* Effect.forkChild(readAll(connection))
          yield* Deferred.await(written)
          yield* Scope.close(scope, Exit.void)
          assert.isTrue(sameBytes(yield* Fiber.join(received), pattern(100_000)))
          assert.include(["LocallyClosed(draining)", "Close(1001: draining)"], reason)
        }).pipe(Effect.provide(multiserver()))
      )
    }
  })

  describe(`${name} over memory:m~shs`, () => {
    it.live("makes its writer wait for a peer that doesn't read", () =>
      Effect.gen(function* () {
        const [near, far] = yield* pair("memory:m~shs")
        const driver = yield* open(near)
        const { accepted, bytes, fiber } = yield* writer(driver.write, driver.end)
        assert.isBelow(accepted, 1 << 20)
        assert.isTrue(sameBytes(yield* readAll(far), bytes))
        yield* Fiber.join(fiber)
      }).pipe(Effect.provide(multiserver()))
    )

    it.live("makes the peer's writer wait for a user that doesn't read", () =>
      Effect.gen(function* () {
        const [near, far] = yield* pair("memory:m~shs")
        const driver = yield* open(near)
        yield* far.write(pattern(1))
        const first = (yield* driver.read) as Uint8Array
        assert.strictEqual(first.length, 1)
        const { accepted, bytes, fiber } = yield* writer(far.write, far.end)
        assert.isBelow(accepted, 1 << 20)
        assert.isTrue(sameBytes(yield* readDriver(driver), bytes))
        yield* Fiber.join(fiber)
      }).pipe(Effect.provide(multiserver()))
    )

    if (!without.includes("held bytes")) {
      it.live("says no goodbye when its scope closes on bytes that the connection has not accepted", () =>
        Effect.gen(function* () {
          const [near, far] = yield* pair("memory:m~shs")
          const scope = yield* Scope.make()
          const driver = yield* Scope.provide(open(near), scope)
          yield* writer(driver.write, driver.end)
          yield* Scope.close(scope, Exit.void)
          yield* Effect.forkChild(Effect.ignore(near.end))
          const error = yield* Effect.timeoutOption(Effect.flip(readAll(far)), "1 minute")
          assert.include(["Truncated", "Reset"], reasonOf(Option.getOrUndefined(error)))
        }).pipe(Effect.provide(multiserver()))
      )
    }
  })
}

/** What a view for callbacks promises besides: it outlives a handler that waits for `closed`. */
export const outlivesItsHandler = (name: string, open: Open): void => {
  it.live.each(["memory:m~shs", "net:127.0.0.1:0~shs"])(
    `${name} can be read to its clean end when its handler has left because both sides had ended, over %s`,
    (target) =>
      Effect.gen(function* () {
        const [near, far] = yield* pair(target)
        const scope = yield* Scope.make()
        const driver = yield* Scope.provide(open(near), scope)
        const left = yield* Effect.forkChild(Effect.andThen(near.closed, Scope.close(scope, Exit.void)))
        yield* driver.end
        for (const chunk of cuts(pattern(30_000))) yield* far.write(chunk)
        yield* far.end
        const slowly: Driver = { ...driver, read: Effect.andThen(turns, driver.read) }
        assert.isTrue(sameBytes(yield* readDriver(slowly), pattern(30_000)))
        yield* Fiber.join(left)
      }).pipe(Effect.provide(multiserver()))
  )
}
