/**
 * Invites: addresses with a seed, by which somebody who is not known yet comes in once. The seed is a private key, and
 * who has the text has it; `examples/invite.ts` shows the side that lets in.
 *
 * ```
 * net:pub.example:8008~shs:KEY:SEED               any address with a seed is one
 * ws://pub.example:80~shs:KEY:SEED                with its port always, and no path, or npm `ssb-ref` takes it for none
 * pub.example:8008:@KEY.ed25519~SEED#redirect     the older form: read as `net`, or `onion` for such a host
 * ```
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Address from "../Address.ts"
import { Primitives } from "../crypto/Primitives.ts"
import { formatPublicKey } from "../Identity.ts"

type Seed = Redacted.Redacted<Uint8Array>

/** An `shs` section with everything that a dial with a seed takes. */
interface Complete {
  readonly publicKey: NonNullable<Address.Shs["publicKey"]>
  readonly seed: Seed
}

const completeShs = (address: Address.Address): Complete | undefined => {
  const [found] = address.transforms.flatMap((section) =>
    section._tag === "shs" && section.publicKey !== undefined && section.seed !== undefined
      ? [{ publicKey: section.publicKey, seed: section.seed }]
      : []
  )
  return found
}

const fail = (reason: Address.AddressReason): Result.Result<never, Address.AddressError> =>
  Result.fail(new Address.AddressError({ reason }))

// -----------------------------------------------------------------------------
// making
// -----------------------------------------------------------------------------

/** A new seed. The key pair of it, and the public key to let in, are `Identity.fromSeed`. */
export const newSeed: Effect.Effect<Seed, never, Primitives> = Effect.map(Primitives, (primitives) =>
  Redacted.make(primitives.random(32), { label: "seed" })
)

/** The invite to an address: the same address with the seed in its `shs` section, which has to have a key. */
export const make = (address: Address.Address, seed: Seed): Result.Result<Address.Address, Address.AddressError> => {
  const offset = Address.format(address).length
  if (Redacted.value(seed).length !== 32) {
    return fail(new Address.BadSeed({ offset, expected: "a seed of 32 bytes" }))
  }
  let found = false
  const transforms = address.transforms.map((section) => {
    if (section._tag !== "shs" || section.publicKey === undefined) return section
    found = true
    return new Address.Shs({ publicKey: section.publicKey, seed })
  })
  return found
    ? Result.succeed(new Address.Address({ transport: address.transport, transforms }))
    : fail(new Address.MissingSection({ offset, expected: "shs with the key of who invites" }))
}

// -----------------------------------------------------------------------------
// printing
// -----------------------------------------------------------------------------

/** The scheme and the host, when no port follows. */
const withoutPort = /^wss?:\/\/(?:\[[^\]]*\]|[^:/?~]*)(?=[/?~]|$)/

/** The text of an invite, **with its seed** and always with its port: for the one who is invited, and nobody else. */
export const formatWithSecrets = (address: Address.Address): string => {
  const { transport } = address
  const text = Address.formatWithSecrets(address)
  return transport._tag === "ws" || transport._tag === "wss" ? text.replace(withoutPort, `$&:${transport.port}`) : text
}

/**
 * As `formatWithSecrets`, in the older form. It has only `net` and `onion` with shs; `undefined` for any other address.
 */
export const formatLegacyWithSecrets = (address: Address.Address): string | undefined => {
  const { transforms, transport } = address
  const shs = completeShs(address)
  if (shs === undefined || transforms.length !== 1) return undefined
  if (transport._tag !== "net" && transport._tag !== "onion") return undefined
  const seed = Base64.encode(Redacted.value(shs.seed))
  return `${transport.host}:${transport.port}:@${formatPublicKey(shs.publicKey)}.ed25519~${seed}`
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

/** Without what follows the section with the seed: no base64 has a `#`, and a path may have one. */
const withoutRedirect = (invite: string): Rewritten => {
  const hash = invite.indexOf("#", invite.indexOf("~shs:"))
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

/** White space and one pair of quotes around an invite: it comes from a mail, a chat or a shell. */
const around = /^\s*(["'`]?)\s*/

/** What is within them, and where that begins. */
const unwrapped = (invite: string): { readonly text: string; readonly start: number } => {
  const [begun = "", quote = ""] = around.exec(invite) ?? []
  const end = invite.trimEnd()
  if (quote === "") return { text: end.slice(begun.length), start: begun.length }
  // Without its other half it is a part of the invite, and an error.
  if (end.length <= begun.length || !end.endsWith(quote)) {
    const start = invite.length - invite.trimStart().length
    return { text: end.slice(start), start }
  }
  return { text: end.slice(begun.length, -1).trimEnd(), start: begun.length }
}

/** Whether a text has the older form, which is no address. It may have the form and be no invite all the same. */
export const isLegacy = (invite: string): boolean => rewriteLegacy(unwrapped(invite).text) !== undefined

/**
 * Reads an invite in any of its forms: one address, with a seed. White space and one pair of quotes around it are
 * dropped, and so is a `#redirect` after it, in either form: it tells a browser where to go on, and says nothing of the
 * connection. Never throws, and no error holds any of the text.
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
    return completeShs(address) === undefined
      ? fail(new Address.BadSeed({ offset: offset(text.length), expected: "a seed, as in shs:KEY:SEED" }))
      : Result.succeed(address)
  })
}
