/** Asks whether a peer may connect: the same for every transform that proves keys. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type { Address } from "../Address.ts"
import { type HandshakeError, NotAuthorized } from "../HandshakeError.ts"
import { formatPublicKey, type PublicKey } from "../Identity.ts"

/**
 * A peer that asks to connect, with its key already proved.
 *
 * @category models
 * @since 0.1.0
 */
export interface Applicant {
  readonly publicKey: PublicKey
  /** Where the peer comes from. */
  readonly remote: Address
  /**
   * The 32-byte token of the address that the peer dialed, where the protocol has tokens. Anyone who has a token can
   * use it, so store only hashes of valid tokens. Compare or hash it within `authorize`: it is overwritten when the
   * peer is refused, or its handshake fails otherwise.
   */
  readonly token: Option.Option<Redacted.Redacted<Uint8Array>>
}

/**
 * What `authorize` answers. `true` and `Option.some` let the peer in, `false` and `Option.none` do not. The connection
 * carries the value of a `some` as `connection.authorized`: an application's user, or what an invite allows.
 */
export type Verdict = boolean | Option.Option<unknown>

/** Options of the transforms that prove keys. */
export interface Options<E, R> {
  /**
   * Whether a peer may connect. Runs once, within the handshake's deadline. When it fails or dies, the peer is refused.
   * By default every peer that passes the handshake may connect.
   */
  readonly authorize?: (applicant: Applicant) => Effect.Effect<Verdict, E, R>
}

/** The same options for a transform without tokens. */
export interface OptionsWithoutToken<E, R> extends Omit<Options<E, R>, "authorize"> {
  readonly authorize?: (applicant: Omit<Applicant, "token">) => Effect.Effect<Verdict, E, R>
}

/** The options for a transform without tokens: `authorize` always gets `Option.none()` as the token. */
export const withoutToken = <E, R>({ authorize, ...options }: Options<E, R>): OptionsWithoutToken<E, R> =>
  authorize === undefined
    ? options
    : { ...options, authorize: (applicant) => authorize({ ...applicant, token: Option.none() }) }

/** Is interrupted when the fiber that runs it was interrupted, and succeeds when only another fiber was. */
const ifNotInterrupted = Effect.uninterruptible(Effect.interruptible(Effect.void))

/**
 * Runs `authorize` and gives its value. A failure, a defect or an interruption within `authorize` refuses the peer, as
 * `false` does. An interruption of the handshake stays an interruption. Without `authorize`, nothing is run: providing
 * its context would make two maps, and the connection would keep one of them.
 */
export const decide = <A extends { readonly publicKey: PublicKey }, E, R>(
  authorize: ((applicant: A) => Effect.Effect<Verdict, E, R>) | undefined,
  context: Context.Context<R>,
  failure: (reason: NotAuthorized) => HandshakeError,
  applicant: A
): Effect.Effect<unknown, HandshakeError> => {
  if (authorize === undefined) return Effect.undefined
  const refuse = (failed: boolean) =>
    Effect.fail(failure(new NotAuthorized({ publicKey: formatPublicKey(applicant.publicKey), failed })))
  return Effect.suspend(() => authorize(applicant)).pipe(
    Effect.provideContext(context),
    Effect.matchCauseEffect({
      onSuccess: (verdict): Effect.Effect<unknown, HandshakeError> => {
        if (verdict === true) return Effect.undefined
        // Any other value, which only code without types can give, is a refusal.
        return Option.isOption(verdict) && Option.isSome(verdict) ? Effect.succeed(verdict.value) : refuse(false)
      },
      onFailure: () => Effect.andThen(ifNotInterrupted, refuse(true))
    })
  )
}
