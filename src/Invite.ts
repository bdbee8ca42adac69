/**
 * Invites: addresses with a secret, by which a dialer that the listener does not know yet comes in once. Whoever has
 * the text has the secret. `examples/invite.ts` shows both sides.
 *
 * ```
 * net:pub.example:8008~shs:KEY:SEED               the seed of a key pair: the listener lets that key in
 * net:pub.example:8008~noise:KEY:TOKEN            a token, shown with the dialer's own key
 * ws://pub.example:80~shs:KEY:SEED                always with the port and no path, as npm `ssb-ref` reads it
 * pub.example:8008:@KEY.ed25519~SEED#redirect     the older form: read as `net`, or `onion` for such a host
 * ```
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Address from "./Address.ts"
import { Primitives } from "./crypto/Primitives.ts"

const fail = (reason: Address.AddressReason): Result.Result<never, Address.AddressError> =>
  Result.fail(new Address.AddressError({ reason }))

// -----------------------------------------------------------------------------
// making
// -----------------------------------------------------------------------------

/**
 * A new secret of 32 random bytes. With `shs` it is a seed: let in the public key of `Identity.fromSeed`. With `noise`
 * and `noisepq` it is a token: keep a hash of it, and compare that with the hash of the applicant's `token`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const newSecret: Effect.Effect<Redacted.Redacted<Uint8Array>, never, Primitives> = Effect.map(
  Primitives,
  (primitives) => Redacted.make(primitives.random(32), { label: "secret of an invite" })
)

/**
 * The invite to an address: the same address with the secret in the first section that has a key and takes one.
 *
 * @example
 * ```ts
 * import { Effect, Result } from "effect"
 * import { Address, Invite, Sodium } from "effect-multiserver/node"
 *
 * const [address] = Result.getOrThrow(
 *   Address.parse("net:pub.example:8008~shs:ZMYOtahB0BwspMdkuFCoQdBWRKXlTZaoWkL/CbL34qI=")
 * )
 * const secret = await Effect.runPromise(Effect.provide(Invite.newSecret, Sodium.layer))
 * const invite = Result.getOrThrow(Invite.make(address, secret))
 * console.log(String(invite).endsWith("=:<redacted>")) // true
 * console.log(Invite.formatWithSecrets(invite).length) // 114
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  address: Address.Address,
  secret: Redacted.Redacted<Uint8Array>
): Result.Result<Address.Address, Address.AddressError> => Address.withSecret(address, secret)

// -----------------------------------------------------------------------------
// printing
// -----------------------------------------------------------------------------

/** The scheme and the host, when no port follows. */
const withoutPort = /^wss?:\/\/(?:\[[^\]]*\]|[^:/?~]*)(?=[/?~]|$)/

/**
 * The text of an invite, **with its secret** and always with its port: give it to the invited and to nobody else.
 *
 * @category conversions
 * @since 0.1.0
 */
export const formatWithSecrets = (address: Address.Address): string => {
  const { transport } = address
  const text = Address.formatWithSecrets(address)
  return transport._tag === "ws" || transport._tag === "wss" ? text.replace(withoutPort, `$&:${transport.port}`) : text
}

/** The only addresses that the older form can write. */
const inLegacy = /^(?:net|onion):([^~]+)~shs:([^~:]+):([^~:]+)$/

/**
 * As `formatWithSecrets`, in the older form. Only an address of `net` or `onion` with `shs` has it; `undefined` for any
 * other.
 *
 * @category conversions
 * @since 0.1.0
 */
export const formatLegacyWithSecrets = (address: Address.Address): string | undefined => {
  const [, where, key, seed] = inLegacy.exec(Address.formatWithSecrets(address)) ?? []
  return where === undefined ? undefined : `${where}:@${key}.ed25519~${seed}`
}

// -----------------------------------------------------------------------------
// reading
// -----------------------------------------------------------------------------

/** The text as an address, and where in the invite a character of it comes from. */
interface Rewritten {
  readonly text: string
  readonly offset: (index: number) => number
}

const suffix = ".ed25519"

/** The older form as an address; `undefined` when the text hasn't that form. */
const rewriteLegacy = (invite: string): Rewritten | undefined => {
  const hash = invite.indexOf("#")
  const body = hash < 0 ? invite : invite.slice(0, hash)
  const at = body.indexOf(":@")
  const tilde = body.indexOf("~")
  if (at < 0 || tilde < at || !body.slice(at, tilde).endsWith(suffix)) return undefined
  // The older form ends with the seed: it has no further sections.
  if (body.includes("~", tilde + 1)) return undefined
  const where = body.slice(0, at)
  const before = `${/\.onion:\d*$/i.test(where) ? "onion" : "net"}:`
  const key = body.slice(at + 2, tilde - suffix.length)
  const keyAt = before.length + where.length + "~shs:".length
  const seedAt = keyAt + key.length + 1
  return {
    text: `${before}${where}~shs:${key}:${body.slice(tilde + 1)}`,
    offset: (index) => {
      if (index >= seedAt) return index - seedAt + tilde + 1
      if (index >= keyAt) return index - keyAt + at + 2
      return Math.min(Math.max(0, index - before.length), at)
    }
  }
}

/** The first section that has a key. Base64 has no `#`. */
const keyed = /~[a-z][a-z0-9-]*:[A-Za-z0-9+/_-]{43}=?/

/** Drops a `#redirect`, which begins behind the first key: a path before it may have a `#` of its own. */
const withoutRedirect = (invite: string): Rewritten => {
  const key = keyed.exec(invite)
  const hash = key === null ? -1 : invite.indexOf("#", key.index)
  return { text: hash < 0 ? invite : invite.slice(0, hash), offset: (index) => index }
}

/** The reason with its offset in the text that was given. */
const relocated = ({ reason }: Address.AddressError, offset: Rewritten["offset"]): Address.AddressError => {
  const Reason = reasons[reason._tag]
  return new Address.AddressError({ reason: new Reason({ offset: offset(reason.offset), expected: reason.expected }) })
}
const reasons = {
  Syntax: Address.Syntax,
  BadHost: Address.BadHost,
  BadPort: Address.BadPort,
  BadPath: Address.BadPath,
  BadKey: Address.BadKey,
  BadSeed: Address.BadSeed,
  BadToken: Address.BadToken,
  MissingSection: Address.MissingSection,
  TooLong: Address.TooLong
}

/** White space and one pair of quotes around an invite, which was copied from a mail, a chat or a shell. */
const around = /^\s*(["'`]?)\s*/

/** The text inside the white space and the quotes, and its index in the invite. */
const unwrapped = (invite: string): { readonly text: string; readonly start: number } => {
  const [begun = "", quote = ""] = around.exec(invite) ?? []
  const end = invite.trimEnd()
  if (quote === "") return { text: end.slice(begun.length), start: begun.length }
  // A quote that is not closed is read as part of the invite, so that the address parser refuses it.
  if (end.length <= begun.length || !end.endsWith(quote)) {
    const start = invite.length - invite.trimStart().length
    return { text: end.slice(start), start }
  }
  return { text: end.slice(begun.length, -1).trimEnd(), start: begun.length }
}

/**
 * Whether a text has the older form, which no address has. The invite may still be invalid: its key, for example.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isLegacy = (invite: string): boolean => rewriteLegacy(unwrapped(invite).text) !== undefined

/**
 * Reads an invite in any of its forms: one address, with a secret. Drops white space and one pair of quotes around it,
 * and a `#redirect` after it, which is for a browser and says nothing of the connection. Never throws, and no error
 * holds any of the text.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (invite: string): Result.Result<Address.Address, Address.AddressError> => {
  const { start, text: own } = unwrapped(invite)
  const { offset: within, text } = rewriteLegacy(own) ?? withoutRedirect(own)
  const offset = (index: number): number => start + within(index)
  const parsed = Result.mapError(Address.parse(text), (error) => relocated(error, offset))
  return Result.flatMap(parsed, ([address, second]) => {
    if (second !== undefined) {
      return fail(new Address.Syntax({ offset: offset(text.indexOf(";")), expected: "one address in an invite" }))
    }
    return Address.hasSecret(address)
      ? Result.succeed(address)
      : fail(new Address.BadSeed({ offset: offset(text.length), expected: "a secret, as in shs:KEY:SEED" }))
  })
}
