/** Asks whether a peer may connect: the same for every transform that proves keys. */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type { Address } from "../Address.ts"
import { effectOf } from "../effectOf.ts"
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
 * Which peers may connect.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<E = never, R = never> {
  /**
   * Whether a peer may connect. `true` and `Option.some` let it in, `false` and `Option.none` do not. The connection
   * carries the value of a `some`: see `Connection.authorizedAs`. Runs once, within the handshake's deadline. When it
   * fails or dies, that is logged, and the peer is refused as a stranger is. By default every peer that passes the
   * handshake may connect.
   */
  readonly authorize?: (applicant: Applicant) => Effect.Effect<boolean | Option.Option<unknown>, E, R>
}

/** The same options for a transform without tokens. */
export interface OptionsWithoutToken<E, R> extends Omit<Options<E, R>, "authorize"> {
  readonly authorize?: (applicant: Omit<Applicant, "token">) => Effect.Effect<boolean | Option.Option<unknown>, E, R>
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
  authorize: ((applicant: A) => Effect.Effect<boolean | Option.Option<unknown>, E, R>) | undefined,
  context: Context.Context<R>,
  failure: (reason: NotAuthorized) => HandshakeError,
  applicant: A
): Effect.Effect<unknown, HandshakeError> => {
  if (authorize === undefined) return Effect.undefined
  const publicKey = formatPublicKey(applicant.publicKey)
  const refused = Effect.suspend(() => Effect.fail(failure(new NotAuthorized({ publicKey, failed: false }))))
  return Effect.suspend(() => effectOf("authorize", authorize(applicant))).pipe(
    Effect.provideContext(context),
    Effect.matchCauseEffect({
      onSuccess: (verdict): Effect.Effect<unknown, HandshakeError> => {
        if (verdict === true) return Effect.undefined
        // Any other value, which only code without types can give, is a refusal.
        return Option.isOption(verdict) && Option.isSome(verdict) ? Effect.succeed(verdict.value) : refused
      },
      onFailure: (why) =>
        ifNotInterrupted.pipe(
          Effect.andThen(Effect.logError(`authorize failed, so ${publicKey} is refused`, why)),
          Effect.andThen(Effect.fail(failure(new NotAuthorized({ publicKey, failed: true, cause: Cause.squash(why) }))))
        )
    })
  )
}
