/** Publishing: signs records of this program's own addresses, and gives them to the sources. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { Address } from "../Address.ts"
import type { AddressRecord, RecordError } from "../AddressRecord.ts"
import type { Sink } from "../Events.ts"
import type { KeyPair } from "../Identity.ts"
import { PublishError } from "./errors.ts"
import { defectOf, tooLate } from "./question.ts"
import { type Shared, search } from "./search.ts"
import type { Source, SourceError } from "./source.ts"

/**
 * A record that at least one source has taken.
 *
 * @category models
 * @since 0.1.0
 */
export interface Published {
  readonly record: AddressRecord
  /** Why the other sources did not take it. */
  readonly failures: ReadonlyArray<SourceError>
}

/** Gives the record to one source. The success is its failure, if it has failed. */
const give = (
  { name, publish }: Source,
  record: AddressRecord,
  patience: Duration.Duration
): Effect.Effect<SourceError | undefined> =>
  publish === undefined
    ? Effect.undefined
    : Effect.suspend(() => publish(record)).pipe(
        Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.fail(tooLate(name, patience)) }),
        Effect.catchDefect((cause) => Effect.fail(defectOf(name, cause))),
        Effect.matchEffect({ onSuccess: () => Effect.undefined, onFailure: (error) => Effect.succeed(error) })
      )

export const publisher = (
  shared: Shared,
  identity: KeyPair,
  validity: Duration.Duration
): ((addresses: ReadonlyArray<string | Address>) => Effect.Effect<Published, PublishError | RecordError>) => {
  const { bounds, changed, emit, kept, sources, wire } = shared
  const writable = sources.filter(({ publish }) => publish !== undefined)
  // One at a time: of two records with one sequence, only the first would count.
  const turns = Semaphore.makeUnsafe(1)
  /**
   * Before the first record, the sources are asked for the last one, because the clock may have gone back since. They
   * are asked again before the next one, until none of them fails to answer.
   */
  let haveAnswered = false
  /** Kept here, too, because look-ups of many other keys can push this program's own record out of `kept`. */
  let last = -1
  const ask = Effect.suspend(() => {
    let haveFailed = false
    const noting: Sink = (event) => {
      if (event._tag === "SourceFailed") haveFailed = true
      return emit(event)
    }
    const asked = Effect.ignore(Stream.runDrain(search({ ...shared, emit: noting })(identity.publicKey)))
    return Effect.map(asked, () => {
      haveAnswered = !haveFailed
    })
  })
  const lastSequence = Effect.suspend(() =>
    Effect.map(haveAnswered ? Effect.void : ask, () => Math.max(last, kept.get(identity.publicKey)?.sequence ?? -1))
  )
  return (addresses) =>
    Effect.gen(function* () {
      if (writable.length === 0) return yield* new PublishError({ failures: [] })
      const before = yield* lastSequence
      const now = yield* Clock.currentTimeMillis
      const expires = Math.floor((now + Duration.toMillis(validity)) / 1000)
      const record = yield* Effect.fromResult(
        wire.sign(identity, { addresses, sequence: Math.max(before + 1, now), expires })
      )
      last = record.sequence
      kept.add(record, Math.floor(now / 1000))
      yield* changed
      const given = yield* Effect.forEach(writable, (source) => give(source, record, bounds.patience), {
        concurrency: "unbounded"
      })
      const failures = given.filter((failure) => failure !== undefined)
      for (const { isRetryable, message, source } of failures) {
        yield* emit({ _tag: "SourceFailed", source, message, isRetryable })
      }
      if (failures.length === writable.length) return yield* new PublishError({ failures })
      return { record, failures }
    }).pipe(turns.withPermits(1))
}
