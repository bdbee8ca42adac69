/**
 * Address records: where a peer can be reached, said and signed by the peer itself. Anybody can pass a record on, and
 * nobody can change it. Specification: docs/records.md.
 *
 * `AddressRecord`s are only made by `sign` and `decode`, so whoever has one has checked it: its signature is that of
 * its key, and it is of this program's network. Whether it is the newest record of its key, and whether it has expired,
 * is for its reader to say.
 */
import * as Effect from "effect/Effect"
import { NodeInspectSymbol } from "effect/Inspectable"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Address from "./Address.ts"
import * as AppKey from "./AppKey.ts"
import * as Layout from "./addressRecord/layout.ts"
import { Primitives } from "./crypto/Primitives.ts"
import { uncheckedPublicKey } from "./crypto/publicKey.ts"
import { concat } from "./crypto/scratch.ts"
import { formatPublicKey, type KeyPair, type PublicKey } from "./Identity.ts"
import { printable } from "./printable.ts"

export { maxAddresses, maxBytes } from "./addressRecord/layout.ts"

/**
 * Reads the key out of the bytes of a record, and checks nothing else.
 *
 * @internal
 * @category accessors
 * @since 0.1.0
 */
export const keyIn = Layout.keyIn

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * The record is longer than `maxBytes`, or has more than `maxAddresses` addresses.
 *
 * @category errors
 * @since 0.1.0
 */
export class TooLarge extends Schema.TaggedError<TooLarge>()("TooLarge", { bytes: Schema.Int, addresses: Schema.Int }) {
  override get message(): string {
    const { addresses, bytes } = this
    return (
      `it has ${bytes} bytes and ${addresses} addresses, and may have ${Layout.maxBytes} bytes and ` +
      `${Layout.maxAddresses} addresses`
    )
  }
}

/**
 * The bytes are not a record of a version that is known here.
 *
 * @category errors
 * @since 0.1.0
 */
export class Malformed extends Schema.TaggedError<Malformed>()("Malformed", {
  offset: Schema.Int,
  expected: Schema.String
}) {
  override get message(): string {
    return `at byte ${this.offset}: expected ${this.expected}`
  }
}

/**
 * The record is of a network with another app key.
 *
 * @category errors
 * @since 0.1.0
 */
export class OtherNetwork extends Schema.TaggedError<OtherNetwork>()("OtherNetwork", {}) {
  override get message(): string {
    return "it is of another network"
  }
}

/**
 * The record's signature is not that of its key.
 *
 * @category errors
 * @since 0.1.0
 */
export class Forged extends Schema.TaggedError<Forged>()("Forged", {}) {
  override get message(): string {
    return "its signature is not that of its key"
  }
}

/**
 * An address can't be in a record: it does not parse, it has a seed or token, or it is several addresses.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotPublishable extends Schema.TaggedError<NotPublishable>()("NotPublishable", {
  /** Its place in the list, from 0. The text may hold a secret, so it is not here. */
  index: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return `address number ${this.index + 1}: ${printable(this.detail)}`
  }
}

/**
 * A record could not be made, or is not to be believed.
 *
 * @category errors
 * @since 0.1.0
 */
export class RecordError extends Schema.TaggedError<RecordError>("effect-multiserver/RecordError")("RecordError", {
  reason: Schema.Union([TooLarge, Malformed, OtherNetwork, Forged, NotPublishable])
}) {
  override get message(): string {
    return `address record: ${this.reason.message}`
  }
  get isRetryable(): boolean {
    return false
  }
}

const fail = (reason: RecordError["reason"]): Result.Result<never, RecordError> =>
  Result.fail(new RecordError({ reason }))

// -----------------------------------------------------------------------------
// records
// -----------------------------------------------------------------------------

const TypeId = "~effect-multiserver/AddressRecord"

/**
 * A record that has been checked.
 *
 * @category models
 * @since 0.1.0
 */
export interface AddressRecord {
  readonly [TypeId]: typeof TypeId
  readonly publicKey: PublicKey
  /** Of two records of a key, the one with the higher sequence counts. */
  readonly sequence: number
  /** When its peer expects to have published a newer one, in seconds since 1970. */
  readonly expires: number
  /**
   * Where the peer is reached, the preferred address first. They are kept as text, so that addresses of protocols which
   * this program does not know stay in the record. They need not parse. Without any, the peer is reached nowhere.
   */
  readonly addresses: ReadonlyArray<string>
  /** The record as it is passed on, with its signature. Don't change them. */
  readonly bytes: Uint8Array
}

class Checked implements AddressRecord {
  readonly [TypeId]: typeof TypeId = TypeId
  readonly publicKey: PublicKey
  readonly sequence: number
  readonly expires: number
  readonly addresses: ReadonlyArray<string>
  readonly bytes: Uint8Array

  constructor({ addresses, expires, publicKey, sequence }: Layout.Fields, bytes: Uint8Array) {
    this.publicKey = uncheckedPublicKey(publicKey)
    this.sequence = sequence
    this.expires = expires
    this.addresses = addresses
    this.bytes = bytes
  }
  toJSON(): unknown {
    const { addresses, expires, publicKey, sequence } = this
    return { _id: "AddressRecord", publicKey: formatPublicKey(publicKey), sequence, expires, addresses }
  }
  toString(): string {
    return printable(JSON.stringify(this))
  }
  [NodeInspectSymbol](): unknown {
    return this.toJSON()
  }
}

/**
 * Whether the value is a record that `sign` or `decode` made.
 *
 * @category guards
 * @since 0.1.0
 */
export const isAddressRecord = (value: unknown): value is AddressRecord => value instanceof Checked

const encoder = new TextEncoder()
const networkLabel = encoder.encode("effect-multiserver/record/1/network\0")
const signatureLabel = encoder.encode("effect-multiserver/record/1\0")

/** What names the network in a record: a hash of its app key. */
const networkOf = (primitives: Primitives["Service"], appKey: Uint8Array): Uint8Array =>
  primitives.sha256(concat(networkLabel, appKey)).slice()

/**
 * Makes and reads the records of one network. The functions of this module make one for each call; who reads many keeps
 * one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Records {
  readonly sign: (pair: KeyPair, fields: Unsigned) => Result.Result<AddressRecord, RecordError>
  readonly decode: (bytes: Uint8Array) => Result.Result<AddressRecord, RecordError>
}

/**
 * What a record is made of, beside the key.
 *
 * @category options
 * @since 0.1.0
 */
export interface Unsigned {
  readonly addresses: ReadonlyArray<string | Address.Address>
  /** An integer of at least 0. It has to be higher than that of each record that the peer published before. */
  readonly sequence: number
  /** In seconds since 1970. */
  readonly expires: number
}

/** The text of an address that may be published. */
const publishable = (address: string | Address.Address, index: number): Result.Result<string, RecordError> => {
  const no = (detail: string) => fail(new NotPublishable({ index, detail }))
  const parsed = typeof address === "string" ? Address.parse(address) : Result.succeed([address] as const)
  if (Result.isFailure(parsed)) return no(parsed.failure.message)
  const [only, ...others] = parsed.success
  if (others.length > 0) return no("these are several addresses: list each by itself")
  if (Address.hasSecret(only)) return no("it has a seed or token, which everybody could read: leave it out")
  return Result.succeed(Address.format(only))
}

/**
 * Makes a `Records` for the network of `AppKey`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const records: Effect.Effect<Records, never, Primitives> = Effect.gen(function* () {
  const primitives = yield* Primitives
  const network = networkOf(primitives, yield* AppKey.bytes)
  const isOfNetwork = (other: Uint8Array) => primitives.equal(other, network)

  const sign: Records["sign"] = ({ publicKey, secretKey }, { addresses, expires, sequence }) =>
    Result.flatMap(Result.all(addresses.map(publishable)), (texts) => {
      const bad = Layout.badNumber(sequence, expires)
      if (bad !== undefined) return fail(new Malformed(bad))
      const fields = { network, publicKey, sequence, expires, addresses: texts }
      const signed = Layout.write(fields)
      const length = signed.length + Layout.signatureLength
      if (length > Layout.maxBytes || texts.length > Layout.maxAddresses) {
        return fail(new TooLarge({ bytes: length, addresses: texts.length }))
      }
      const signature = primitives.sign(concat(signatureLabel, signed), Redacted.value(secretKey))
      return Result.succeed(new Checked(fields, concat(signed, signature).slice()))
    })

  const decode: Records["decode"] = (given) => {
    if (given.length > Layout.maxBytes) return fail(new TooLarge({ bytes: given.length, addresses: 0 }))
    const bytes = given.slice()
    const end = Math.max(0, bytes.length - Layout.signatureLength)
    const signed = bytes.subarray(0, end)
    const fields = Layout.read(signed)
    if (Result.isFailure(fields)) return fail(new Malformed(fields.failure))
    if (!isOfNetwork(fields.success.network)) return fail(new OtherNetwork())
    const isSigned = primitives.verify(bytes.subarray(end), concat(signatureLabel, signed), fields.success.publicKey)
    return isSigned ? Result.succeed(new Checked(fields.success, bytes)) : fail(new Forged())
  }
  return { sign, decode }
})

/**
 * Makes and signs a record with a key pair, for the network of `AppKey`. Most programs publish through `Lookup`, which
 * counts the sequence.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sign = (pair: KeyPair, fields: Unsigned): Effect.Effect<AddressRecord, RecordError, Primitives> =>
  Effect.flatMap(records, (own) => Effect.fromResult(own.sign(pair, fields)))

/**
 * Reads a record, and checks its signature and its network. It never throws, whatever the bytes.
 *
 * @category conversions
 * @since 0.1.0
 */
export const decode = (bytes: Uint8Array): Effect.Effect<AddressRecord, RecordError, Primitives> =>
  Effect.flatMap(records, (own) => Effect.fromResult(own.decode(bytes)))

/**
 * A record that has been checked, as a schema.
 *
 * @category schemas
 * @since 0.1.0
 */
export const AddressRecord: Schema.declare<AddressRecord> = Schema.declare(isAddressRecord, {
  expected: "AddressRecord"
})

/**
 * A record from and to the bytes that are passed on. Decoding checks it.
 *
 * @category schemas
 * @since 0.1.0
 */
export const AddressRecordFromBytes = Schema.Uint8Array.pipe(
  Schema.decodeTo(
    AddressRecord,
    SchemaTransformation.transformEffect({
      decode: (bytes: Uint8Array) =>
        Effect.mapError(decode(bytes), ({ message }) => new SchemaIssue.InvalidValue({ message })),
      encode: (record: AddressRecord) => Effect.succeed(record.bytes)
    })
  )
)
