/**
 * The messages of an exchange, and their bytes. All numbers are big-endian. Whatever the bytes are, reading them never
 * throws, and takes no more memory than one frame.
 *
 * ```
 * frame   length in 2 bytes of what follows; 1 byte of kind; the message
 * Digest  1 byte of version: 1; `from` and `until`, 16 bytes each; for each entry 16 bytes of id and 8 of sequence,
 *         whose highest bit is set when the record is not on offer
 * Wants   for each wanted entry its place in the digest, in 2 bytes, rising
 * Record  an address record, with its signature
 * End     nothing
 * ```
 */
import * as Result from "effect/Result"
import { maxBytes } from "../AddressRecord.ts"
import { type Fault, fault } from "./fault.ts"

/**
 * What names a key in a digest: its first 16 bytes, in 8 characters of two bytes each. To make another key with the
 * same id takes 2^128 attempts. Ids are ordered as their bytes are.
 */
export type Id = string

const idLength = 16

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

const getId = (view: DataView, at: number): Id =>
  String.fromCharCode(
    view.getUint16(at),
    view.getUint16(at + 2),
    view.getUint16(at + 4),
    view.getUint16(at + 6),
    view.getUint16(at + 8),
    view.getUint16(at + 10),
    view.getUint16(at + 12),
    view.getUint16(at + 14)
  )

const putId = (view: DataView, at: number, id: Id): void => {
  for (let i = 0; 2 * i < idLength; i++) view.setUint16(at + 2 * i, id.charCodeAt(i))
}

/** The id of a key, of at least 16 bytes. */
export const idOf = (key: Uint8Array): Id => getId(viewOf(key), 0)

/** The id before all others. */
export const firstId: Id = idOf(new Uint8Array(idLength))

/** A record that the sender of the digest has. */
export interface Entry {
  readonly id: Id
  readonly sequence: number
  /** Whether the record can be asked for. One that has expired is named, so that nobody sends an older one. */
  readonly isOnOffer: boolean
}

/** What a peer says. */
export type Message =
  | {
      readonly _tag: "Digest"
      /**
       * The ids from `from` to before `until`, in a circle, are those whose records the digest names completely: what
       * it does not name there, its sender lacks. When both are the same, these are all ids.
       */
      readonly from: Id
      readonly until: Id
      readonly entries: ReadonlyArray<Entry>
    }
  | { readonly _tag: "Wants"; readonly places: ReadonlyArray<number> }
  | { readonly _tag: "Record"; readonly bytes: Uint8Array }
  | { readonly _tag: "End" }

export type Digest = Extract<Message, { readonly _tag: "Digest" }>

/** The most entries of a digest. They take 24 kB. */
export const maxEntries = 1000

/** The most records that each side sends in one exchange. They take 256 kB, and 20 ms to verify. */
export const maxRecords = 256

const kinds = { Digest: 1, Wants: 2, Record: 3, End: 4 } as const
const version = 1
const digestHead = 2 + 2 * idLength
const entryLength = idLength + 8
const notOnOffer = 0x80000000

/** The longest message, with its kind. */
export const maxFrame = digestHead + entryLength * maxEntries

// -----------------------------------------------------------------------------
// writing
// -----------------------------------------------------------------------------

const lengthOf = (message: Message): number => {
  switch (message._tag) {
    case "Digest":
      return digestHead + entryLength * message.entries.length
    case "Wants":
      return 1 + 2 * message.places.length
    case "Record":
      return 1 + message.bytes.length
    case "End":
      return 1
  }
}

const writeDigest = (bytes: Uint8Array, view: DataView, start: number, { entries, from, until }: Digest): void => {
  bytes[start + 1] = version
  putId(view, start + 2, from)
  putId(view, start + 2 + idLength, until)
  let at = start + digestHead
  for (const { id, isOnOffer, sequence } of entries) {
    putId(view, at, id)
    view.setUint32(at + idLength, (Math.floor(sequence / 2 ** 32) | (isOnOffer ? 0 : notOnOffer)) >>> 0)
    view.setUint32(at + idLength + 4, sequence % 2 ** 32)
    at += entryLength
  }
}

/** The frames of the messages, one after another. */
export const write = (messages: ReadonlyArray<Message>): Uint8Array => {
  const bytes = new Uint8Array(messages.reduce((length, message) => length + 2 + lengthOf(message), 0))
  const view = viewOf(bytes)
  let at = 0
  for (const message of messages) {
    const length = lengthOf(message)
    const start = at + 2
    view.setUint16(at, length)
    bytes[start] = kinds[message._tag]
    if (message._tag === "Digest") writeDigest(bytes, view, start, message)
    else if (message._tag === "Record") bytes.set(message.bytes, start + 1)
    else if (message._tag === "Wants") message.places.forEach((place, i) => view.setUint16(start + 1 + 2 * i, place))
    at = start + length
  }
  return bytes
}

// -----------------------------------------------------------------------------
// reading
// -----------------------------------------------------------------------------

const malformed = (expected: string): Result.Result<never, Fault> => fault("Malformed", `expected ${expected}`)

const readDigest = (bytes: Uint8Array): Result.Result<Message, Fault> => {
  if (bytes.length < digestHead || bytes[1] !== version) return malformed(`a digest of version ${version}`)
  if ((bytes.length - digestHead) % entryLength !== 0) return malformed("a digest of whole entries")
  const view = viewOf(bytes)
  const entries: Array<Entry> = []
  for (let at = digestHead; at < bytes.length; at += entryLength) {
    const high = view.getUint32(at + idLength)
    const sequence = (high % notOnOffer) * 2 ** 32 + view.getUint32(at + idLength + 4)
    if (!Number.isSafeInteger(sequence)) return malformed("a sequence from 0 to 2^53 - 1")
    entries.push({ id: getId(view, at), sequence, isOnOffer: high < notOnOffer })
  }
  if (new Set(entries.map(({ id }) => id)).size < entries.length) return malformed("each id only once")
  return Result.succeed({ _tag: "Digest", from: getId(view, 2), until: getId(view, 2 + idLength), entries })
}

const readWants = (bytes: Uint8Array): Result.Result<Message, Fault> => {
  const count = (bytes.length - 1) / 2
  if (!Number.isInteger(count)) return malformed("whole places")
  if (count > maxRecords) return fault("TooMuch", `it asks for ${count} records, of at most ${maxRecords}`)
  const view = viewOf(bytes)
  const places = Array.from({ length: count }, (_, i) => view.getUint16(1 + 2 * i))
  if (places.some((place, i) => i > 0 && place <= (places[i - 1] ?? 0))) return malformed("places that rise")
  return Result.succeed({ _tag: "Wants", places })
}

/** Reads the message of one frame. */
export const read = (bytes: Uint8Array): Result.Result<Message, Fault> => {
  switch (bytes[0]) {
    case kinds.Digest:
      return readDigest(bytes)
    case kinds.Wants:
      return readWants(bytes)
    case kinds.Record:
      if (bytes.length - 1 > maxBytes) return fault("TooMuch", `a record of ${bytes.length - 1} bytes`)
      return Result.succeed({ _tag: "Record", bytes: bytes.subarray(1) })
    case kinds.End:
      return bytes.length === 1 ? Result.succeed({ _tag: "End" }) : malformed("an end without more")
    default:
      return malformed("a message of a kind that is known")
  }
}

/** Cuts what arrives into frames, however it was split. A frame that is too long is a fault before its bytes come. */
export class Frames {
  private readonly head = new Uint8Array(2)
  private frame: Uint8Array | undefined
  private filled = 0

  /** Takes a part of the chunk from `at` on. The frame, if that completes one. */
  private take(chunk: Uint8Array, at: number, into: Uint8Array): number {
    const part = chunk.subarray(at, at + into.length - this.filled)
    into.set(part, this.filled)
    this.filled += part.length
    return part.length
  }

  /** Calls `use` with each frame that the chunk completes, until `use` or a length is at fault. */
  read(chunk: Uint8Array, use: (frame: Uint8Array) => Fault | undefined): Fault | undefined {
    for (let at = 0; at < chunk.length; ) {
      at += this.take(chunk, at, this.frame ?? this.head)
      if (this.frame === undefined) {
        if (this.filled < this.head.length) return undefined
        const length = (this.head[0] ?? 0) * 256 + (this.head[1] ?? 0)
        if (length < 1) return { _tag: "Malformed", detail: "expected a frame of at least 1 byte" }
        if (length > maxFrame) return { _tag: "TooMuch", detail: `a frame of ${length} bytes, of at most ${maxFrame}` }
        this.frame = new Uint8Array(length)
        this.filled = 0
      } else if (this.filled === this.frame.length) {
        const whole = this.frame
        this.frame = undefined
        this.filled = 0
        const found = use(whole)
        if (found !== undefined) return found
      }
    }
    return undefined
  }
}
