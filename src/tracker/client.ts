/** A tracker as a source of `Lookup`: one connection at a time, dialed when it is needed. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as RcRef from "effect/RcRef"
import * as Result from "effect/Result"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type AddressError, format } from "../Address.ts"
import * as Connection from "../Connection.ts"
import { type Offer, type Source, SourceError } from "../Lookup.ts"
import { addressesOf, isRetryable, Multiserver, type Target } from "../Multiserver.ts"
import { TrackerError } from "./procedures.ts"
import * as Session from "./session.ts"

/**
 * Which tracker is asked, and how.
 *
 * @category options
 * @since 0.1.0
 */
export interface SourceOptions {
  /** The addresses of the tracker. Each has to have its key, as `net:tracker.example:8010~shs:KEY` does. */
  readonly at: Target
  /** How long a dial may take, and an answer. By default 5 seconds: less than `Lookup` waits for a source. */
  readonly timeout?: Duration.Input
  /** How long the connection is kept without a call. By default 30 seconds. */
  readonly idle?: Duration.Input
}

const keyless =
  "this stack proves no key, so anybody on the way could answer: give the tracker's address with its key, such as " +
  "net:HOST:PORT~shs:KEY"

/**
 * A tracker as a source, for `Lookup.layer`. It dials the tracker when it is asked first, and again after a failure.
 * The connection lives as long as the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const source = ({
  at,
  idle = "30 seconds",
  timeout = "5 seconds"
}: SourceOptions): Effect.Effect<Source, AddressError, Multiserver | Scope.Scope> =>
  Effect.gen(function* () {
    const addresses = yield* Effect.fromResult(addressesOf(at))
    const name = `tracker ${format(addresses)}`
    const patience = Duration.fromInputUnsafe(timeout)
    const { dial } = yield* Multiserver
    const scope = yield* Effect.scope
    const failed = ({ cause, detail, isRetryable }: Session.Ending) =>
      new SourceError({ source: name, detail, isRetryable, ...(cause === undefined ? {} : { cause }) })
    const tooLate = failed({ detail: `no answer within ${Duration.toMillis(patience)} ms`, isRetryable: true })

    let current: Session.Session | undefined
    /** The next call dials again. */
    const drop = (session: Session.Session): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (current !== session) return Effect.void
        current = undefined
        return RcRef.invalidate(sessions)
      })
    /** Gives up a session whose connection is still open, but no longer of use. */
    const breakOff = (session: Session.Session): Effect.Effect<void> =>
      Effect.andThen(
        session.ending() === undefined ? Connection.destroy(session.connection) : Effect.void,
        drop(session)
      )
    const open = Effect.gen(function* () {
      const connection = yield* Effect.mapError(dial(addresses, { timeout: patience }), (cause) =>
        failed({ detail: cause.message, isRetryable: isRetryable(cause), cause })
      )
      if (connection.peer._tag !== "Authenticated") return yield* failed({ detail: keyless, isRetryable: false })
      const session = yield* Session.make(connection)
      current = session
      yield* Effect.forkIn(Effect.andThen(Effect.raceFirst(session.over, connection.closed), drop(session)), scope)
      return session
    })
    const sessions: RcRef.RcRef<Session.Session, SourceError> = yield* RcRef.make({
      acquire: open,
      idleTimeToLive: idle
    })
    /** A session that has been silent for too long is not asked again, even if nobody has waited for it to the end. */
    const session = Effect.flatMap(RcRef.get(sessions), (own) =>
      own.silence() < Duration.toMillis(patience)
        ? Effect.succeed(own)
        : Effect.andThen(breakOff(own), RcRef.get(sessions))
    )

    const errorOf = (own: Session.Session, cause: Cause.Cause<SourceError | TrackerError | RpcClientError>) => {
      const found = Cause.findError(cause)
      // The tracker decides what its answers die of.
      if (Result.isFailure(found)) return failed({ ...Session.nonsense, cause: Cause.squash(cause) })
      const error = found.success
      if (error._tag === "SourceError") return error
      if (error._tag === "TrackerError") {
        return failed({ detail: error.message, isRetryable: error.isRetryable, cause: error })
      }
      return failed(own.ending() ?? { detail: error.reason.message, isRetryable: true, cause: error })
    }
    const call = <A>(use: (calls: Session.Session["calls"]) => Effect.Effect<A, TrackerError | RpcClientError>) =>
      Effect.flatMap(session, (own) =>
        use(own.calls).pipe(
          Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.fail(tooLate) }),
          Effect.catchCause((cause) => {
            const error = errorOf(own, cause)
            return Effect.andThen(error.cause instanceof TrackerError ? Effect.void : breakOff(own), Effect.fail(error))
          })
        )
      ).pipe(Effect.scoped)

    return {
      name,
      find: (key) =>
        Stream.fromIterableEffect(
          Effect.map(
            call((calls) => calls.Find({ key })),
            (found) => found.map((bytes): Offer => ({ _tag: "Signed", bytes }))
          )
        ),
      publish: ({ bytes }) => call((calls) => calls.Publish({ record: bytes }))
    }
  })
