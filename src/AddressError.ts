/** Why a text is no address: one tagged error, each reason with where and what would have been right there. */
import * as Schema from "effect/Schema"

const where = {
  /** Index in the text that was given, in UTF-16 code units. */
  offset: Schema.Int,
  /** What would have been right there. */
  expected: Schema.String
}

const describe = ({ expected, offset }: { readonly expected: string; readonly offset: number }): string =>
  `not an address: at character ${offset}, expected ${expected}`

/** The text does not follow the grammar. */
export class Syntax extends Schema.TaggedError<Syntax>()("Syntax", where) {
  override get message(): string {
    return describe(this)
  }
  get isRetryable(): boolean {
    return false
  }
}

/** A host that is empty, that no name or IP looks like, or that ends in `.onion` outside an `onion` section. */
export class BadHost extends Schema.TaggedError<BadHost>()("BadHost", where) {
  override get message(): string {
    return describe(this)
  }
  get isRetryable(): boolean {
    return false
  }
}

/** A port that is no decimal number from 0 to 65535. */
export class BadPort extends Schema.TaggedError<BadPort>()("BadPort", where) {
  override get message(): string {
    return describe(this)
  }
  get isRetryable(): boolean {
    return false
  }
}

/** A path that is empty, or has characters that have to be written as `%xx`. */
export class BadPath extends Schema.TaggedError<BadPath>()("BadPath", where) {
  override get message(): string {
    return describe(this)
  }
  get isRetryable(): boolean {
    return false
  }
}

/** A public key that is no canonical base64 of 32 bytes. */
export class BadKey extends Schema.TaggedError<BadKey>()("BadKey", where) {
  override get message(): string {
    return describe(this)
  }
  get isRetryable(): boolean {
    return false
  }
}

/** A seed that is no canonical base64 of 32 bytes. */
export class BadSeed extends Schema.TaggedError<BadSeed>()("BadSeed", where) {
  override get message(): string {
    return describe(this)
  }
  get isRetryable(): boolean {
    return false
  }
}

/** A token that is no canonical base64 of 32 bytes, or all zeros, which on the wire mean that there is none. */
export class BadToken extends Schema.TaggedError<BadToken>()("BadToken", where) {
  override get message(): string {
    return describe(this)
  }
  get isRetryable(): boolean {
    return false
  }
}

/** A transform where a transport is needed, or the other way round. */
export class MissingSection extends Schema.TaggedError<MissingSection>()("MissingSection", where) {
  override get message(): string {
    return describe(this)
  }
  get isRetryable(): boolean {
    return false
  }
}

/** More than the limits allow. */
export class TooLong extends Schema.TaggedError<TooLong>()("TooLong", where) {
  override get message(): string {
    return describe(this)
  }
  get isRetryable(): boolean {
    return false
  }
}

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
/** Why a text is no address. */
export type AddressReason = typeof AddressReason.Type

/** Text that is no address. It never holds the text itself, which may hold a seed or token. */
export class AddressError extends Schema.TaggedError<AddressError>("effect-multiserver/AddressError")("AddressError", {
  reason: AddressReason
}) {
  override get message(): string {
    return this.reason.message
  }
  /** Never: the same text fails again. */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
}
