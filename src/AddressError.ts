/** Why a text is not an address: one tagged error. Each reason says where the fault is, and what was expected there. */
import * as Schema from "effect/Schema"

const where = {
  /** Index in the text that was given, in UTF-16 code units. */
  offset: Schema.Number,
  /** What would have been right there. */
  expected: Schema.String
}

const describe = ({ expected, offset }: { readonly expected: string; readonly offset: number }): string =>
  `not an address: at character ${offset}, expected ${expected}`

/**
 * The text does not follow the grammar.
 *
 * @category errors
 * @since 0.1.0
 */
export class Syntax extends Schema.TaggedError<Syntax>()("Syntax", where) {
  override get message(): string {
    return describe(this)
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * A host that is empty, or neither a name nor an IP. Also a `.onion` name outside an `onion` section, or any other
 * host inside one.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadHost extends Schema.TaggedError<BadHost>()("BadHost", where) {
  override get message(): string {
    return describe(this)
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * A port that is missing, or is not a decimal number from 0 to 65535.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadPort extends Schema.TaggedError<BadPort>()("BadPort", where) {
  override get message(): string {
    return describe(this)
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * A path that is empty, or has characters that have to be written as `%xx`.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadPath extends Schema.TaggedError<BadPath>()("BadPath", where) {
  override get message(): string {
    return describe(this)
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * A public key that is not the canonical base64 of 32 bytes.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadKey extends Schema.TaggedError<BadKey>()("BadKey", where) {
  override get message(): string {
    return describe(this)
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * A seed that is not the canonical base64 of 32 bytes.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadSeed extends Schema.TaggedError<BadSeed>()("BadSeed", where) {
  override get message(): string {
    return describe(this)
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * A token that is not the canonical base64 of 32 bytes, or is all zeros: on the wire, zeros mean "no token".
 *
 * @category errors
 * @since 0.1.0
 */
export class BadToken extends Schema.TaggedError<BadToken>()("BadToken", where) {
  override get message(): string {
    return describe(this)
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * A transform where a transport is needed, or the other way round.
 *
 * @category errors
 * @since 0.1.0
 */
export class MissingSection extends Schema.TaggedError<MissingSection>()("MissingSection", where) {
  override get message(): string {
    return describe(this)
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * More bytes, addresses or sections than `maxAddressBytes`, `maxAddresses` and `maxSections` allow.
 *
 * @category errors
 * @since 0.1.0
 */
export class TooLong extends Schema.TaggedError<TooLong>()("TooLong", where) {
  override get message(): string {
    return describe(this)
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * Why a text is not an address.
 *
 * @category errors
 * @since 0.1.0
 */
export const AddressReason = Schema.Union([
  Syntax,
  BadHost,
  BadPort,
  BadPath,
  BadKey,
  BadSeed,
  BadToken,
  MissingSection,
  TooLong
])
export type AddressReason = typeof AddressReason.Type

/**
 * A text is not an address. The error never contains the text, because that may contain a seed or token.
 *
 * @category errors
 * @since 0.1.0
 */
export class AddressError extends Schema.TaggedError<AddressError>("effect-multiserver/AddressError")("AddressError", {
  reason: AddressReason
}) {
  override get message(): string {
    return this.reason.message
  }
  /** Always `false`: the same text fails again. */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
}
