/**
 * Addresses: everything that has to be known to reach a peer, as text and as data. This module and its folder are the
 * only ones that know `~`, `;`, `:` and `!`.
 *
 * ```
 * net:pub.example:8008~shs:KEY;wss://pub.example~shs:KEY     a multi-address: the same peer, in order of preference
 * net:pub.example:8008~shs:KEY                               an address: a transport section, then transform sections
 * net:pub.example:8008                                       a section: a name and its data
 * ```
 *
 * A text is split at `;` first, which can't be escaped, and then at `~`. `!` escapes the character after it. Each
 * protocol parses the inside of its own section (`section.ts` in the protocol's folder). Addresses are printed as npm
 * `multiserver` 3.8.2 prints them. Some odd forms that 3.8.2 reads but never prints are rejected.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Effect from "effect/Effect"
import { NodeInspectSymbol } from "effect/Inspectable"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { AddressError, MissingSection } from "./AddressError.ts"
import { fits, maxAddressBytes, maxAddresses, maxSections } from "./address/limits.ts"
import { parseAll } from "./address/parse.ts"
import { type AddressFields, printRedacted, printRevealed } from "./address/print.ts"
import { secretsStay } from "./address/secret.ts"
import { definitionOf, isTransform, isTransport, Section, sectionName } from "./address/section.ts"
import type { PublicKey } from "./crypto/publicKey.ts"
import { blank, makeUnchecked } from "./schema/makeUnchecked.ts"

export * from "./AddressError.ts"
export { maxAddressBytes, maxAddresses, maxSections } from "./address/limits.ts"
export { Opaque, Section, section, sectionName } from "./address/section.ts"
export * from "./address/sections.ts"

// -----------------------------------------------------------------------------
// addresses
// -----------------------------------------------------------------------------

const Fields = Schema.Struct({ transport: Section, transforms: Schema.Array(Section) }).check(
  Schema.makeFilter(({ transforms, transport }) => {
    if (isTransform(transport)) return `expected a transport, not ${transport._tag}`
    if (transforms.some(isTransport)) return "expected transforms after the transport, not another transport"
    return transforms.length < maxSections || `expected at most ${maxSections} sections`
  })
)

/**
 * One way to reach a peer: a transport section, then transform sections. `toString`, `toJSON` and Node's `inspect` show
 * `<redacted>` in the place of a seed or token.
 *
 * @category models
 * @since 0.1.0
 */
export class Address extends Schema.Class<Address>("effect-multiserver/Address")(Fields) {
  /** The names of the sections, joined: `net~shs`. */
  get stack(): string {
    return [this.transport, ...this.transforms].map(sectionName).join("~")
  }
  /** This address with one more transform section. Throws when `transform` is a transport, or one section too many. */
  with(transform: Section): Address {
    const fields = { transport: this.transport, transforms: [...this.transforms, transform] }
    // The section is valid by itself, but may not stand here: then the constructor throws.
    const placed = !isTransport(transform) && fields.transforms.length < maxSections
    return placed ? makeUnchecked(Address, fields) : new Address(fields)
  }
  override toString(): string {
    return format(this)
  }
  toJSON(): string {
    return format(this)
  }
  [NodeInspectSymbol](): string {
    return format(this)
  }
}

/**
 * Addresses of the same peer, in order of preference: at least 1, at most `maxAddresses`.
 *
 * @category models
 * @since 0.1.0
 */
export const MultiAddress = Schema.NonEmptyArray(Address).check(Schema.isMaxLength(maxAddresses))
export type MultiAddress = NonEmptyReadonlyArray<Address>

// -----------------------------------------------------------------------------
// text
// -----------------------------------------------------------------------------

/**
 * The text of an address, with `<redacted>` in the place of a seed or token: for people, logs and errors.
 *
 * @category conversions
 * @since 0.1.0
 */
export const format = (self: Address | MultiAddress): string => printRedacted(self)

/**
 * The text of an address **with its seed or token**. It is as sensitive as a private key: give it only to those who are
 * to dial with it.
 *
 * @category conversions
 * @since 0.1.0
 */
export const formatWithSecrets = (self: Address | MultiAddress): string => printRevealed(self)

const fromFields = ({ transforms, transport }: AddressFields): Address => {
  const address = blank(Address)
  address.transport = transport
  address.transforms = transforms
  return address
}

/**
 * Parses a multi-address, in time linear in the length of the text. Never throws, whatever the text.
 *
 * @example
 * ```ts
 * import { Result } from "effect"
 * import { Address } from "effect-multiserver"
 *
 * const parsed = Address.parse("net:pub.example:8008;ws://pub.example")
 * console.log(Result.getOrThrow(parsed).map(({ stack }) => stack).join(" ")) // net ws
 *
 * const mistyped = Address.parse("net:pub.example:80080")
 * console.log(Result.isFailure(mistyped) && mistyped.failure.reason._tag) // BadPort
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<MultiAddress, AddressError> => {
  const parsed = parseAll(text, fromFields)
  if (Result.isSuccess(parsed)) return Result.succeed(parsed.success)
  const { expected, index, Reason } = parsed.failure
  return Result.fail(new AddressError({ reason: new Reason({ offset: index, expected }) }))
}

/**
 * The codec between text and a multi-address. Encoding fails when an address has a seed or token, so that none gets
 * into a log, an RPC or a file by accident. To write one on purpose, use `formatWithSecrets`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const MultiAddressFromString: Schema.Codec<MultiAddress, string> = Schema.String.pipe(
  Schema.decodeTo(
    Schema.toType(MultiAddress),
    SchemaTransformation.transformEffect({
      decode: (text: string) =>
        Effect.fromResult(parse(text)).pipe(
          Effect.mapError((error) => new SchemaIssue.InvalidValue({ message: error.message }))
        ),
      encode: (addresses: MultiAddress) => {
        if (addresses.some(hasSecret)) return Effect.fail(secretsStay)
        return addresses.every((each) => fits(format(each)))
          ? Effect.succeed(format(addresses))
          : Effect.fail(new SchemaIssue.InvalidValue({ message: `an address is longer than ${maxAddressBytes} bytes` }))
      }
    })
  )
)

// -----------------------------------------------------------------------------
// secrets
// -----------------------------------------------------------------------------

const sectionHasSecret = (section: Section): boolean => definitionOf(section).secret?.find(section) !== undefined

const withoutSecret = (section: Section): Section => definitionOf(section).secret?.remove(section) ?? section

/**
 * The public keys that the sections of an address name, in their order.
 *
 * @category accessors
 * @since 0.1.0
 */
export const publicKeysOf = ({ transforms }: Address): ReadonlyArray<PublicKey> =>
  transforms.flatMap((section) =>
    "publicKey" in section && section.publicKey !== undefined ? [section.publicKey] : []
  )

/**
 * Whether the address holds a seed or token.
 *
 * @category accessors
 * @since 0.1.0
 */
export const hasSecret = (self: Address): boolean => self.transforms.some(sectionHasSecret)

/**
 * The same address with this secret of 32 bytes in each section that can hold one: the seed of `shs`, the token of
 * `noise`. Fails when no section with a key can.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withSecret = (
  self: Address,
  secret: Redacted.Redacted<Uint8Array>
): Result.Result<Address, AddressError> => {
  const offset = format(self).length
  const transforms: Array<Section> = []
  let found = false
  for (const section of self.transforms) {
    const put = definitionOf(section).secret?.put(section, secret)
    if (put !== undefined && Result.isFailure(put)) {
      const { expected, Reason } = put.failure
      return Result.fail(new AddressError({ reason: new Reason({ offset, expected }) }))
    }
    found ||= put !== undefined
    transforms.push(put === undefined ? section : put.success)
  }
  if (found) return Result.succeed(new Address({ transport: self.transport, transforms }))
  const expected = "a section that names the peer by its key, as shs:KEY or noise:KEY"
  return Result.fail(new AddressError({ reason: new MissingSection({ offset, expected }) }))
}

/**
 * The same address without its seed or token.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withoutSecrets = (self: Address): Address =>
  hasSecret(self) ? new Address({ transport: self.transport, transforms: self.transforms.map(withoutSecret) }) : self
