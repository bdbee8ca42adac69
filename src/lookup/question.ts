/** One question to one source, bounded in time and in how much is listened to. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { PublicKey } from "../Identity.ts"
import { type Offer, type Source, SourceError } from "./source.ts"

/** How long a source is waited for, and how many of its offers are looked at. */
export interface Bounds {
  readonly patience: Duration.Duration
  readonly offers: number
}

export const tooLate = (source: string, patience: Duration.Duration): SourceError =>
  new SourceError({ source, detail: `no answer within ${Duration.toMillis(patience)} ms`, isRetryable: true })

/** What other people's code threw, as the failure of its source. */
export const defectOf = (source: string, cause: unknown): SourceError =>
  new SourceError({ source, detail: "a defect in the code of this source", isRetryable: false, cause })

/**
 * Asks. A source that has not ended in time has said all that it will: that is its failure only when it has said
 * nothing.
 */
export const ask = (
  source: Source,
  key: PublicKey,
  { offers, patience }: Bounds,
  failed: (error: SourceError) => Effect.Effect<void>
): Stream.Stream<Offer> =>
  Stream.suspend(() => {
    let heard = 0
    const late = Effect.suspend(() => (heard === 0 ? failed(tooLate(source.name, patience)) : Effect.void))
    return Stream.suspend(() => source.find(key)).pipe(
      Stream.take(offers),
      Stream.tap(() => Effect.sync(() => heard++)),
      Stream.catchDefect((cause) => Stream.fail(defectOf(source.name, cause))),
      Stream.catch((error) => Stream.fromEffectDrain(failed(error))),
      Stream.interruptWhen(Effect.andThen(Effect.sleep(patience), late))
    )
  })
