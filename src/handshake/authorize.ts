/** Asking whether a peer may come in, the same for every transform that proves keys. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { type HandshakeError, NotAuthorized } from "../HandshakeError.ts"
import { formatPublicKey, type PublicKey } from "../Identity.ts"

/**
 * A failure or defect in `authorize` is as much a refusal as a `false`; only an interruption stays one. Without one nothing is asked:
 * providing its context would make two maps, of which the connection keeps one.
 */
export const decide = <A extends { readonly publicKey: PublicKey }, E, R>(
  authorize: ((applicant: A) => Effect.Effect<boolean, E, R>) | undefined,
  context: Context.Context<R>,
  failure: (reason: NotAuthorized) => HandshakeError,
  applicant: A
): Effect.Effect<void, HandshakeError> => {
  if (authorize === undefined) return Effect.void
  const refuse = (failed: boolean) =>
    Effect.fail(failure(new NotAuthorized({ publicKey: formatPublicKey(applicant.publicKey), failed })))
  return Effect.suspend(() => authorize(applicant)).pipe(
    Effect.provideContext(context),
    Effect.matchCauseEffect({
      onSuccess: (allowed) => (allowed === true ? Effect.void : refuse(false)),
      onFailure: (cause) =>
        cause.reasons.some((reason) => reason._tag === "Interrupt") ? Effect.interrupt : refuse(true)
    })
  )
}
