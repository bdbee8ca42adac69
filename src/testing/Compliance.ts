/**
 * The contract of a connection as a list of checks, for every transport and transform, also other people's.
 *
 * A check is a name and an effect that fails when the contract is broken; any test runner can run it:
 *
 * ```ts
 * for (const { name, run } of Compliance.suite({ target: "net:127.0.0.1:0~mine", layer, authenticates: true, halfClose: true })) {
 *   it.live(name, () => run)
 * }
 * ```
 *
 * The checks use the real clock, and take some seconds together.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Address } from "../Address.ts"
import { type Connection, forEachChunk, forward } from "../Connection.ts"
import type { ConnectionError } from "../ConnectionError.ts"
import * as Limits from "../Limits.ts"
import * as Multiserver from "../Multiserver.ts"

/** What is checked. */
export interface Subject<E> {
  /** What to listen on. What is bound has to be dialable by what `Listener.addresses()` says. */
  readonly target: string
  /** A Multiserver that speaks the target's stack. Built once for each check. */
  readonly layer: Layer.Layer<Multiserver.Multiserver, E>
  /** Whether the stack authenticates: then an end without a goodbye is told from a clean end. */
  readonly authenticates: boolean
  /** Whether one side can go on after the other has ended. */
  readonly halfClose: boolean
}

/** One clause of the contract. */
export interface Check {
  readonly name: string
  readonly run: Effect.Effect<void, unknown>
}

/** The contract is broken. */
export class Broken extends Schema.TaggedError<Broken>("effect-multiserver/testing/Broken")("Broken", {
  expected: Schema.String,
  actual: Schema.String
}) {
  override get message(): string {
    return `expected ${this.expected}, but got ${this.actual}`
  }
}

const expect = (holds: boolean, expected: string, actual: unknown): Effect.Effect<void, Broken> =>
  holds ? Effect.void : Effect.fail(new Broken({ expected, actual: String(actual) }))

/** Bytes that can be made again, each one telling where it stands. */
const pattern = (length: number, seed = 1): Uint8Array => {
  const out = new Uint8Array(length)
  let state = seed
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    out[i] = state >>> 24
  }
  return out
}

const expectBytes = (actual: Uint8Array, expected: Uint8Array): Effect.Effect<void, Broken> => {
  const at = expected.findIndex((byte, i) => byte !== actual[i])
  return actual.length === expected.length && at < 0
    ? Effect.void
    : expect(false, `${expected.length} bytes`, `${actual.length} bytes, other ones from ${at}`)
}

const join = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const out = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    out.set(chunk, at)
    at += chunk.length
  }
  return out
}

/** Everything until the clean end. */
const readAll = (connection: Connection): Effect.Effect<Uint8Array, ConnectionError> =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    return connection.pull.pipe(
      Effect.map((batch) => {
        chunks.push(...batch)
      }),
      Effect.forever({ disableYield: true }),
      Effect.catchIf(Cause.isDone, () => Effect.sync(() => join(chunks)))
    )
  })

/** How a pull or write ends, as a word. */
const ending = (effect: Effect.Effect<unknown, ConnectionError | Cause.Done>): Effect.Effect<string> =>
  Effect.match(effect, {
    onSuccess: () => "success",
    onFailure: (error) => (Cause.isDone(error) ? "the clean end" : error.reason._tag)
  })

/** Both ends of one connection; the listener's stays open as long as the scope. */
const pair = (target: string) =>
  Effect.gen(function* () {
    const accepted = yield* Deferred.make<Connection>()
    const address = yield* serve(target, (connection) =>
      Effect.andThen(Deferred.succeed(accepted, connection), Effect.never)
    )
    const near = yield* Multiserver.dial(address)
    return [near, yield* Deferred.await(accepted)] as const
  })

const serve = <E>(target: string, handler: (connection: Connection) => Effect.Effect<unknown, E, Scope.Scope>) =>
  Effect.gen(function* () {
    const listener = yield* Multiserver.listen(target)
    yield* Effect.forkScoped(listener.run(handler))
    const [address] = listener.addresses()
    return address === undefined ? yield* expect(false, "an address to dial", "none") : address
  }).pipe(Effect.map((address) => address as Address))

/** All checks for a stack. */
export const suite = <E>(subject: Subject<E>): ReadonlyArray<Check> => {
  const { authenticates, halfClose, target } = subject
  const check = <X>(name: string, run: Effect.Effect<void, X, Multiserver.Multiserver | Scope.Scope>): Check => ({
    name,
    run: run.pipe(
      Effect.scoped,
      Effect.provide(subject.layer.pipe(Layer.provide(Limits.layer({ grace: Duration.millis(50) })))),
      Effect.timeout("90 seconds")
    )
  })

  const oneWay = (write: (near: Connection) => Effect.Effect<void, ConnectionError>, expected: Uint8Array) =>
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      yield* Effect.forkChild(Effect.andThen(write(near), near.end))
      yield* expectBytes(yield* readAll(far), expected)
    })
  const otherWay = (expected: Uint8Array) =>
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      yield* Effect.forkChild(Effect.andThen(far.write(expected), far.end))
      yield* expectBytes(yield* readAll(near), expected)
    })

  const sizes = [0, 1, 4095, 4096, 4097, 65_535, 65_536, 3 << 20]
  const carries = sizes.flatMap((size) => [
    check(
      `carries one write of ${size} bytes to the listener`,
      oneWay((near) => near.write(pattern(size)), pattern(size))
    ),
    check(`carries one write of ${size} bytes to the dialer`, otherWay(pattern(size)))
  ])

  const manyWrites = check(
    "carries ten thousand one-byte writes of one tick as one right stream",
    oneWay(
      (near) => Effect.forEach(pattern(10_000), (byte) => near.write(Uint8Array.of(byte)), { discard: true }),
      pattern(10_000)
    )
  )

  const batch = check(
    "carries a batch as one stream",
    oneWay(
      (near) => near.writeAll([pattern(10, 1), pattern(0, 2), pattern(70_000, 3), pattern(1, 4)]),
      join([pattern(10, 1), pattern(70_000, 3), pattern(1, 4)])
    )
  )

  const fibers = check(
    "writes whole and in order among fibers",
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      const block = 300_000
      const writes = Effect.forEach([0, 1, 2, 3], (i) => near.write(new Uint8Array(block).fill(i)), {
        concurrency: "unbounded"
      })
      yield* Effect.forkChild(Effect.andThen(writes, near.end))
      const received = yield* readAll(far)
      yield* expect(received.length === 4 * block, `${4 * block} bytes`, received.length)
      for (let i = 0; i < 4; i++) {
        const part = received.subarray(i * block, (i + 1) * block)
        yield* expect(
          part.every((byte) => byte === part[0]),
          "each write in one piece",
          "writes that are mixed"
        )
      }
    })
  )

  const borrows = check(
    "borrows bytes until the write succeeds, and not longer",
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      const sent = pattern(2 << 20)
      yield* Effect.forkChild(
        Effect.gen(function* () {
          const buffer = new Uint8Array(10_000)
          for (let at = 0; at < sent.length; at += buffer.length) {
            const part = sent.subarray(at, at + buffer.length)
            buffer.set(part)
            yield* near.write(buffer.subarray(0, part.length))
            buffer.fill(0)
          }
          yield* near.end
        })
      )
      yield* Effect.sleep("50 millis")
      yield* expectBytes(yield* readAll(far), sent)
    })
  )

  const goesOn = (who: "dialer" | "listener") =>
    check(
      `lets the ${who} go on reading after its own end`,
      Effect.gen(function* () {
        const [near, far] = yield* pair(target)
        const [first, second] = who === "dialer" ? [near, far] : [far, near]
        yield* expect(first.halfClose, "a half close", "none")
        yield* Effect.forkChild(Effect.andThen(first.write(pattern(10)), first.end))
        yield* expectBytes(yield* readAll(second), pattern(10))
        yield* Effect.forkChild(Effect.andThen(second.write(pattern(200_000)), second.end))
        yield* expectBytes(yield* readAll(first), pattern(200_000))
      })
    )
  const ends = halfClose
    ? [goesOn("dialer"), goesOn("listener")]
    : [
        check(
          "says that it has no half close, and delivers what was sent before the peer's end",
          Effect.gen(function* () {
            const [near, far] = yield* pair(target)
            yield* expect(!near.halfClose && !far.halfClose, "no half close", "one")
            yield* near.write(pattern(1000))
            yield* near.end
            yield* expectBytes(yield* readAll(far), pattern(1000))
          })
        )
      ]

  const lends = check(
    "lends each chunk while its borrower is called, and reads no more while that one waits",
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      yield* Effect.forkChild(Effect.andThen(near.write(pattern(1 << 20)), near.end))
      const chunks: Array<Uint8Array> = []
      let waiting = false
      yield* forEachChunk(far, (chunk) => {
        chunks.push(waiting ? new Uint8Array(0) : new Uint8Array(chunk))
        chunk.fill(0)
        if (chunks.length % 5 !== 0) return undefined
        waiting = true
        return Effect.andThen(
          Effect.sleep(1),
          Effect.sync(() => {
            waiting = false
          })
        )
      })
      yield* expectBytes(join(chunks), pattern(1 << 20))
    })
  )

  const forwards = check(
    "is forwarded to another connection, whose reader is slow",
    Effect.gen(function* () {
      const own = yield* Deferred.make<Address>()
      const arrived = yield* Deferred.make<Uint8Array, ConnectionError>()
      const context = yield* Effect.context<Multiserver.Multiserver>()
      let isFirst = true
      const address = yield* serve(target, (connection) => {
        if (!isFirst) return Deferred.complete(arrived, Effect.delay(readAll(connection), "50 millis"))
        isFirst = false
        return Deferred.await(own).pipe(
          Effect.flatMap((again) => Multiserver.dial(again)),
          Effect.flatMap((next) => Effect.andThen(forward(connection, next), next.end)),
          Effect.provideContext(context)
        )
      })
      yield* Deferred.succeed(own, address)
      const near = yield* Multiserver.dial(address)
      yield* Effect.forkChild(Effect.andThen(near.write(pattern(3 << 20)), near.end))
      yield* expectBytes(yield* Deferred.await(arrived), pattern(3 << 20))
    })
  )

  const afterEnd = check(
    "fails a write after its own end, and ends once however often it is asked",
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      yield* near.end
      yield* near.end
      const late = yield* ending(near.write(pattern(1)))
      yield* expect(late === "LocallyClosed", "LocallyClosed", late)
      yield* expectBytes(yield* readAll(far), new Uint8Array(0))
    })
  )

  const abortBefore = check(
    "does nothing before it is run, and is interrupted at once",
    Effect.gen(function* () {
      let accepted = 0
      const address = yield* serve(target, () => Effect.sync(() => void accepted++))
      const dial = Multiserver.dial(address)
      yield* Effect.sleep("20 millis")
      yield* expect(accepted === 0, "no connection before the dial is run", accepted)
      const fiber = yield* Effect.forkChild(Effect.scoped(Effect.andThen(dial, Effect.never)), {
        startImmediately: true
      })
      yield* Fiber.interrupt(fiber)
    })
  )

  const abortDuring = check(
    "is interrupted at any moment of a dial, and the listener serves the next",
    Effect.gen(function* () {
      const address = yield* serve(target, (connection) => Effect.andThen(readAll(connection), connection.end))
      for (let millis = 0; millis < 20; millis++) {
        const fiber = yield* Effect.forkChild(Effect.scoped(Effect.andThen(Multiserver.dial(address), Effect.never)))
        yield* Effect.sleep(millis / 4)
        yield* Fiber.interrupt(fiber)
      }
      const connection = yield* Multiserver.dial(address)
      yield* connection.end
      yield* readAll(connection)
    })
  )

  /** What the other side sees when a side goes without having said that all was said. */
  const vanished = (word: string): Effect.Effect<void, Broken> => {
    const honest = ["Truncated", "Reset"]
    // A bare stream has nothing that tells an end from a clean one.
    const allowed = authenticates ? honest : [...honest, "the clean end"]
    return expect(allowed.includes(word), allowed.join(" or "), word)
  }

  const abortAfter = check(
    "tells the peer of an interrupted connection that it was no clean end",
    Effect.gen(function* () {
      const heard = yield* Deferred.make<void>()
      const seen = yield* Deferred.make<string>()
      const address = yield* serve(target, (connection) =>
        Effect.gen(function* () {
          yield* connection.pull
          yield* Deferred.succeed(heard, undefined)
          yield* Deferred.succeed(seen, yield* ending(connection.pull))
        })
      )
      const use = Effect.gen(function* () {
        const connection = yield* Multiserver.dial(address)
        yield* connection.write(pattern(10))
        yield* connection.flush
        return yield* Effect.never
      })
      const fiber = yield* Effect.forkChild(Effect.scoped(use))
      yield* Deferred.await(heard)
      yield* Fiber.interrupt(fiber)
      yield* vanished(yield* Deferred.await(seen))
    })
  )

  const peerFails = check(
    "delivers what had arrived before it tells that the peer is gone, and fails writes",
    Effect.gen(function* () {
      const address = yield* serve(target, (connection) =>
        connection.write(pattern(1000)).pipe(Effect.andThen(connection.flush), Effect.andThen(Effect.interrupt))
      )
      const connection = yield* Multiserver.dial(address)
      yield* Effect.sleep("50 millis")
      let received = 0
      const word = yield* ending(
        connection.pull.pipe(
          Effect.map((chunks) => {
            for (const chunk of chunks) received += chunk.length
          }),
          Effect.forever({ disableYield: true })
        )
      )
      yield* expect(received === 1000, "1000 bytes", received)
      yield* vanished(word)
      const writes = Effect.forever(Effect.andThen(connection.write(pattern(1000)), Effect.sleep(1)))
      const write = yield* Effect.timeoutOption(ending(writes), "1 minute")
      yield* expect(Option.isSome(write), "a write to a peer that is gone to fail", "one that hangs")
    })
  )

  const neverReads = check(
    "makes the writer of a peer that never reads wait",
    Effect.gen(function* () {
      const [near] = yield* pair(target)
      const chunk = new Uint8Array(64 * 1024)
      const writer = yield* Effect.forkChild(Effect.forever(near.write(chunk)))
      yield* Effect.sleep("300 millis")
      yield* expect(writer.pollUnsafe() === undefined, "a writer that waits", "one that is done")
      yield* Fiber.interrupt(writer)
    })
  )

  const leaves = check(
    "says goodbye when its scope closes after success, behind everything that was written",
    Effect.gen(function* () {
      const received = yield* Deferred.make<Uint8Array, ConnectionError>()
      const address = yield* serve(target, (connection) => Deferred.into(readAll(connection), received))
      yield* Effect.scoped(
        Effect.flatMap(Multiserver.dial(address), (connection) => connection.write(pattern(100_000)))
      )
      yield* expectBytes(yield* Deferred.await(received), pattern(100_000))
    })
  )

  return [
    ...carries,
    manyWrites,
    batch,
    fibers,
    borrows,
    lends,
    forwards,
    ...ends,
    afterEnd,
    abortBefore,
    abortDuring,
    abortAfter,
    peerFails,
    neverReads,
    leaves
  ]
}
