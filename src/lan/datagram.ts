/**
 * The datagrams of the npm package `ssb-lan`: how an announcement is written and read. No I/O.
 *
 * A signed announcement is JSON, `{"address":"net:192.0.2.1:8008~shs:KEY"}`, in a secret box whose key is the app key
 * and whose nonce is the beginning of the app key. After the box stands the Ed25519 signature, by KEY, of the same JSON
 * with two spaces of indentation. The unsigned announcements of older programs are the address alone, as text.
 */
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Address from "../Address.ts"
import { maxAddresses } from "../AddressRecord.ts"
import type { Primitives } from "../crypto/Primitives.ts"
import { formatPublicKey, type KeyPair, type PublicKey } from "../Identity.ts"

/** The longest datagram that is read or written, in bytes: more would not fit into one Ethernet frame. */
export const maxBytes = 1472

/** What is checked with, and what says which network is meant. */
export interface Network {
  readonly primitives: Primitives["Service"]
  readonly appKey: Uint8Array
}

/** What somebody has announced: addresses of one peer, all at the IP from which the datagram came. */
export interface Announcement {
  readonly publicKey: PublicKey
  readonly addresses: ReadonlyArray<string>
  readonly isSigned: boolean
}

const macLength = 16
const nonceLength = 24
const signatureLength = 64
const encoder = new TextEncoder()
const decoder = new TextDecoder()

const signedBytes = (address: string): Uint8Array => encoder.encode(JSON.stringify({ address }, null, 2))

// -----------------------------------------------------------------------------
// addresses
// -----------------------------------------------------------------------------

/** The key that the address names: `undefined` when it names none, or several. */
const keyOf = (address: Address.Address): PublicKey | undefined => {
  const keys = Address.publicKeysOf(address)
  const [first] = keys
  return first !== undefined && keys.every((key) => formatPublicKey(key) === formatPublicKey(first)) ? first : undefined
}

/** The host of the address, if it has one. */
export const hostOf = ({ transport }: Address.Address): string | undefined =>
  "host" in transport && typeof transport.host === "string" ? transport.host : undefined

/** Whether the address leads to the peer of this key, and may be shown to everybody in the network. */
export const isAddressOf = (address: Address.Address, peer: string): boolean => {
  const key = keyOf(address)
  return key !== undefined && formatPublicKey(key) === peer && !Address.hasSecret(address)
}

/**
 * Reads the addresses that `sender` has announced. An address at another host is left out: otherwise anybody could
 * direct the dials of others at a third party.
 */
const announcedBy = (sender: string, text: string): Omit<Announcement, "isSigned"> | undefined => {
  const parsed = Address.parse(text)
  if (Result.isFailure(parsed)) return undefined
  const publicKey = parsed.success.map(keyOf).find((key) => key !== undefined)
  if (publicKey === undefined) return undefined
  const peer = formatPublicKey(publicKey)
  const addresses = parsed.success
    .filter((address) => hostOf(address) === sender && isAddressOf(address, peer))
    .slice(0, maxAddresses)
    .map((address) => Address.format(address))
  return addresses.length === 0 ? undefined : { publicKey, addresses }
}

// -----------------------------------------------------------------------------
// reading
// -----------------------------------------------------------------------------

const Boxed = Schema.fromJsonString(Schema.Struct({ address: Schema.String }))
const decodeBoxed = Schema.decodeUnknownOption(Boxed)

/** Reads a signed announcement; `undefined` when it is none of this network, or its signature is wrong. */
export const readSigned = (
  { appKey, primitives }: Network,
  bytes: Uint8Array,
  sender: string
): Announcement | undefined => {
  const end = bytes.length - signatureLength
  if (bytes.length > maxBytes || end < macLength) return undefined
  const json = new Uint8Array(end - macLength)
  if (!primitives.boxOpen(json, bytes.subarray(0, end), appKey.subarray(0, nonceLength), appKey)) return undefined
  const boxed = Option.getOrUndefined(decodeBoxed(decoder.decode(json)))
  if (boxed === undefined) return undefined
  const announced = announcedBy(sender, boxed.address)
  if (announced === undefined) return undefined
  const isSigned = primitives.verify(bytes.subarray(end), signedBytes(boxed.address), announced.publicKey)
  return isSigned ? { ...announced, isSigned } : undefined
}

/** Reads an unsigned announcement. */
export const readUnsigned = (bytes: Uint8Array, sender: string): Announcement | undefined => {
  if (bytes.length > maxBytes) return undefined
  const announced = announcedBy(sender, decoder.decode(bytes))
  return announced && { ...announced, isSigned: false }
}

// -----------------------------------------------------------------------------
// writing
// -----------------------------------------------------------------------------

/** Writes an unsigned announcement. */
export const writeUnsigned = (text: string): Uint8Array => encoder.encode(text)

/** Writes an announcement that is signed with the key pair. */
export const writeSigned = ({ appKey, primitives }: Network, { secretKey }: KeyPair, text: string): Uint8Array => {
  const json = encoder.encode(JSON.stringify({ address: text }))
  const bytes = new Uint8Array(macLength + json.length + signatureLength)
  const end = macLength + json.length
  primitives.boxSeal(bytes.subarray(0, end), json, appKey.subarray(0, nonceLength), appKey)
  bytes.set(primitives.sign(signedBytes(text), Redacted.value(secretKey)), end)
  return bytes
}

/** Whether a text is short enough for both kinds of announcement. */
const fits = (text: string): boolean =>
  macLength + encoder.encode(JSON.stringify({ address: text })).length + signatureLength <= maxBytes

/** The text to announce: as many of the addresses as fit, from the first on. `undefined` when none fits. */
export const textOf = (addresses: ReadonlyArray<Address.Address>): string | undefined => {
  for (let count = Math.min(addresses.length, maxAddresses); count > 0; count--) {
    const text = addresses
      .slice(0, count)
      .map((address) => Address.format(address))
      .join(";")
    if (fits(text)) return text
  }
  return undefined
}
