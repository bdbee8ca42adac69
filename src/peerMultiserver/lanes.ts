/**
 * Dials what a search finds, in lanes that run side by side. Each record that the peer has signed has a lane, and each
 * source has one for the addresses that nobody signed. So a source that names addresses at which nobody answers holds
 * up no other source.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { Connection } from "../Connection.ts"
import type { Found, LookupError } from "../Lookup.ts"

/**
 * How long only the known record is tried. After that the sources are asked, too, because the peer may have moved.
 * Otherwise the time to connect would have to pass for each of its old addresses first.
 */
const headStart = "2 seconds"

/**
 * The most records and announcements of one source that one search follows, so that none can use up the place of the
 * others. Each has at most 8 addresses.
 */
const mostOfSource = 8

/** Tries the addresses that were found, in the scope of its caller. */
export type Follow = (found: Found) => Effect.Effect<Option.Option<Connection>, never, Scope.Scope>

/** The connection of the dial, and the scope of the lane that has opened it. */
interface Won {
  readonly connection: Connection
  readonly scope: Scope.Closeable
}

/**
 * The first connection that one of the lanes opens, in the scope of the caller. Nothing is left of the other lanes.
 * Without one, it is none when all lanes have ended. A lane that dies ends no other; if no other connects, this dies.
 */
export const firstOf = (
  searched: Stream.Stream<Found, LookupError>,
  follow: Follow
): Effect.Effect<Option.Option<Connection>, LookupError, Scope.Scope> =>
  Effect.gen(function* () {
    const all = yield* Effect.scope
    const winner = Deferred.makeUnsafe<void>()
    const counts = new Map<string, number>()
    const turns = new Map<string, Semaphore.Semaphore>()
    /** One for each lane, made before the lane begins, so that it has whatever the lane had opened when interrupted. */
    const scopes: Array<Scope.Closeable> = []
    let won: Won | undefined
    let died: Effect.Effect<never> | undefined

    const isOneOfFew = ({ source }: Found): boolean => {
      const count = (counts.get(source) ?? 0) + 1
      counts.set(source, count)
      return count <= mostOfSource
    }
    const inTurn = ({ record, source }: Found, lane: Effect.Effect<void>): Effect.Effect<void> => {
      if (record !== undefined) return lane
      const turn = turns.get(source) ?? Semaphore.makeUnsafe(1)
      turns.set(source, turn)
      return turn.withPermits(1)(lane)
    }
    const lane = (found: Found): Effect.Effect<void> => {
      const scope = Scope.forkUnsafe(all)
      scopes.push(scope)
      return Scope.provide(follow(found), scope).pipe(
        Effect.map((connection) => {
          if (Option.isNone(connection) || won !== undefined) return
          won = { connection: connection.value, scope }
          Deferred.doneUnsafe(winner, Effect.void)
        }),
        Effect.catchDefect((defect) => {
          died = Effect.die(defect)
          return Effect.void
        })
      )
    }
    const untilOneHasWon = Effect.gen(function* () {
      const lanes = yield* FiberSet.make<void>()
      const begin = Effect.fnUntraced(function* (found: Found) {
        const fiber = yield* FiberSet.run(lanes, inTurn(found, lane(found)))
        if (found.source === "known") yield* Effect.timeoutOption(Fiber.await(fiber), headStart)
      })
      const ended = searched.pipe(
        Stream.filter(isOneOfFew),
        Stream.runForEach(begin),
        Effect.andThen(FiberSet.awaitEmpty(lanes))
      )
      yield* Effect.raceFirst(Deferred.await(winner), ended)
    })
    yield* Effect.scoped(untilOneHasWon)
    yield* Effect.forEach(scopes, (scope) =>
      scope === won?.scope ? Effect.void : Scope.close(scope, Exit.interrupt())
    )
    if (won === undefined && died !== undefined) return yield* died
    return Option.map(Option.fromNullishOr(won), ({ connection }) => connection)
  })
