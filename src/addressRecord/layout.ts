/**
 * The bytes of an address record (docs/records.md), without its signature. All numbers are big-endian.
 *
 * ```
 * offset  bytes
 *      0      1  version: 1
 *      1     32  the network
 *     33     32  the peer's public key
 *     65      8  sequence
 *     73      8  expires, in seconds since 1970
 *     81      1  how many addresses follow, at most 8
 *     82         for each: its length in 2 bytes, then its text in UTF-8
 *    end     64  the signature of all bytes before it
 * ```
 */
import * as Result from "effect/Result"
import { uncheckedPublicKey } from "../crypto/publicKey.ts"
import type { PublicKey } from "../Identity.ts"

/**
 * The longest record, in bytes, with its signature.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxBytes = 1000
/**
 * The most addresses in a record.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxAddresses = 8

export const version = 1
export const signatureLength = 64

/** What a record says. */
export interface Fields {
  readonly network: Uint8Array
  readonly publicKey: Uint8Array
  readonly sequence: number
  readonly expires: number
  readonly addresses: ReadonlyArray<string>
}

/** What is wrong with the bytes of a record, and where. */
export interface Fault {
  readonly offset: number
  readonly expected: string
}

const textAt = 82

const encoder = new TextEncoder()

/** One address: no white space, no control or other invisible character, and no `;`, which separates addresses. */
export const isAddressText = (text: string): boolean => /^[^\s;\p{C}]+$/u.test(text)

/** Reads the key out of the bytes of a record, and checks nothing else. */
export const keyIn = (bytes: Uint8Array): PublicKey | undefined =>
  bytes.length < 65 ? undefined : uncheckedPublicKey(bytes.subarray(33, 65))

/** The bytes that are signed. Their length may exceed the limit, which the caller checks. */
export const write = ({ addresses, expires, network, publicKey, sequence }: Fields): Uint8Array => {
  const texts = addresses.map((address) => encoder.encode(address))
  const bytes = new Uint8Array(texts.reduce((length, text) => length + 2 + text.length, textAt))
  const view = new DataView(bytes.buffer)
  bytes[0] = version
  bytes.set(network, 1)
  bytes.set(publicKey, 33)
  view.setBigUint64(65, BigInt(sequence))
  view.setBigUint64(73, BigInt(expires))
  bytes[81] = texts.length
  let at = textAt
  for (const text of texts) {
    view.setUint16(at, text.length)
    bytes.set(text, at + 2)
    at += 2 + text.length
  }
  return bytes
}

const sequenceExpected = "a sequence from 0 to 2^53 - 1"
const expiresExpected = "a time from 0 to 2^53 - 1 seconds"

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

/** What is wrong with the numbers of a record that is to be written. */
export const badNumber = (sequence: number, expires: number): Fault | undefined => {
  if (!isCount(sequence)) return { offset: 65, expected: sequenceExpected }
  return isCount(expires) ? undefined : { offset: 73, expected: expiresExpected }
}

const fault = (offset: number, expected: string): Result.Result<never, Fault> => Result.fail({ offset, expected })

/** A number that JavaScript can hold exactly. */
const readSafe = (view: DataView, at: number): number | undefined => {
  const value = view.getBigUint64(at)
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined
}

const textOf = (bytes: Uint8Array): string | undefined =>
  Result.getOrElse(
    Result.try(() => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)),
    () => undefined
  )

/** Reads the bytes that are signed. Every record has one encoding, so what is read here is written the same again. */
export const read = (bytes: Uint8Array): Result.Result<Fields, Fault> => {
  if (bytes.length < textAt) return fault(bytes.length, `at least ${textAt + signatureLength} bytes`)
  if (bytes[0] !== version) return fault(0, `version ${version}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const sequence = readSafe(view, 65)
  const expires = readSafe(view, 73)
  if (sequence === undefined) return fault(65, sequenceExpected)
  if (expires === undefined) return fault(73, expiresExpected)
  const count = view.getUint8(81)
  if (count > maxAddresses) return fault(81, `at most ${maxAddresses} addresses`)
  const addresses: Array<string> = []
  let at = textAt
  while (addresses.length < count) {
    if (at + 2 > bytes.length) return fault(at, "the length of an address")
    const end = at + 2 + view.getUint16(at)
    const text = end > bytes.length ? undefined : textOf(bytes.subarray(at + 2, end))
    if (text === undefined || !isAddressText(text)) return fault(at + 2, "an address, without white space or ;")
    addresses.push(text)
    at = end
  }
  if (at !== bytes.length) return fault(at, "the signature")
  return Result.succeed({
    network: bytes.slice(1, 33),
    publicKey: bytes.slice(33, 65),
    sequence,
    expires,
    addresses
  })
}
