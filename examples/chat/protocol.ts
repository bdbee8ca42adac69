/**
 * What the two sides of the chat say to each other: messages as JSON, each after its length. A message that is too
 * long, is none of these, or comes at the wrong time ends the connection.
 */
import { Effect, Result, Schema, Stream } from "effect"
import type { Connection, ConnectionError } from "effect-multiserver/browser"

/** The longest text, in UTF-16 units, as an input's `maxlength` counts. */
export const maxText = 4000
/** The largest file, in bytes. */
export const maxFile = 8 * 1024 * 1024
/** How many bytes of a file are in one message. */
export const chunkBytes = 32 * 1024
/** The longest message, in bytes. A chunk has 43 KiB as base64, and a text at most 6 bytes a unit. */
const maxMessage = 64 * 1024

/** Something to read. */
export const Text = Schema.TaggedStruct("Text", {
  text: Schema.NonEmptyString.check(Schema.isMaxLength(maxText))
})

/** A file comes next. There is one at a time in each direction. */
export const File = Schema.TaggedStruct("File", {
  name: Schema.NonEmptyString.check(Schema.isMaxLength(255)),
  size: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: maxFile }))
})

/** The next bytes of the file. */
export const Chunk = Schema.TaggedStruct("Chunk", { bytes: Schema.Uint8Array })

/** The other side's file has arrived whole. */
export const Received = Schema.TaggedStruct("Received", {
  sha256: Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/))
})

export const Message = Schema.Union([Text, File, Chunk, Received])
export type Message = typeof Message.Type

/** The other side has sent what this chat does not allow. */
export class NotOfThisChat extends Schema.TaggedError<NotOfThisChat>()("NotOfThisChat", { detail: Schema.String }) {
  override get message(): string {
    return `not a message of this chat: ${this.detail}`
  }
}

// -----------------------------------------------------------------------------
// messages and bytes
// -----------------------------------------------------------------------------

const Json = Schema.fromJsonString(Schema.toCodecJson(Message))
const fromJson = Schema.decodeUnknownResult(Json)
const toJson = Schema.encodeEffect(Json)

/** Sends a message, in one write: several fibers may send at once. */
export const send = (connection: Connection.Connection, message: Message) =>
  Effect.gen(function* () {
    const json = new TextEncoder().encode(yield* Effect.orDie(toJson(message)))
    const framed = new Uint8Array(4 + json.length)
    new DataView(framed.buffer).setUint32(0, json.length)
    framed.set(json, 4)
    yield* connection.write(framed)
  })

const read = (json: Uint8Array): Result.Result<Message, NotOfThisChat> =>
  Result.try(() => new TextDecoder("utf-8", { fatal: true }).decode(json)).pipe(
    Result.flatMap(fromJson),
    // What it contains is the other side's, so it is not repeated.
    Result.mapError(() => new NotOfThisChat({ detail: "it can't be read" }))
  )

type Read = Result.Result<Message, NotOfThisChat>

/** Takes the messages that are whole. The rest waits for more bytes. */
const cut = (before: Uint8Array, chunk: Uint8Array): readonly [rest: Uint8Array, messages: ReadonlyArray<Read>] => {
  const bytes = new Uint8Array(before.length + chunk.length)
  bytes.set(before)
  bytes.set(chunk, before.length)
  const view = new DataView(bytes.buffer)
  const messages: Array<Read> = []
  let from = 0
  while (bytes.length - from >= 4) {
    const length = view.getUint32(from)
    if (length > maxMessage) {
      messages.push(Result.fail(new NotOfThisChat({ detail: `it has ${length} bytes` })))
      return [new Uint8Array(), messages]
    }
    if (bytes.length - from - 4 < length) break
    messages.push(read(bytes.subarray(from + 4, from + 4 + length)))
    from += 4 + length
  }
  return [bytes.slice(from), messages]
}

const cutOff = Result.fail(new NotOfThisChat({ detail: "the other side has ended in the middle of it" }))

/** The messages that arrive, until the other side's goodbye. */
export const messages = (
  connection: Connection.Connection
): Stream.Stream<Message, ConnectionError.ConnectionError | NotOfThisChat> =>
  Stream.fromPull(Effect.succeed(connection.pull)).pipe(
    Stream.mapAccum(() => new Uint8Array(), cut, {
      onHalt: (rest): ReadonlyArray<Read> => (rest.length > 0 ? [cutOff] : [])
    }),
    Stream.mapEffect(Effect.fromResult)
  )

// -----------------------------------------------------------------------------
// files
// -----------------------------------------------------------------------------

/** A file that arrives: so much of it is here. */
export interface Arriving {
  readonly name: string
  readonly size: number
  readonly here: number
}

/** What a message does to the file that arrives. Fails for one that comes at the wrong time. */
export const arrive = (
  arriving: Arriving | undefined,
  message: typeof File.Type | typeof Chunk.Type
): Result.Result<Arriving, NotOfThisChat> => {
  const isUnderWay = arriving !== undefined && arriving.here < arriving.size
  if (message._tag === "File") {
    if (isUnderWay) return Result.fail(new NotOfThisChat({ detail: "a file within another" }))
    return Result.succeed({ name: message.name, size: message.size, here: 0 })
  }
  const { length } = message.bytes
  if (!isUnderWay || length === 0 || arriving.here + length > arriving.size) {
    return Result.fail(new NotOfThisChat({ detail: "bytes that belong to no file" }))
  }
  return Result.succeed({ ...arriving, here: arriving.here + length })
}

/** Sends a file, chunk by chunk, and tells how much of it was accepted. */
export const sendFile = <E, R>(
  connection: Connection.Connection,
  name: string,
  bytes: Uint8Array,
  progress: (sent: number) => Effect.Effect<void, E, R>
) =>
  Effect.gen(function* () {
    yield* send(connection, { _tag: "File", name, size: bytes.length })
    for (let from = 0; from < bytes.length; from += chunkBytes) {
      const chunk = bytes.subarray(from, from + chunkBytes)
      yield* send(connection, { _tag: "Chunk", bytes: chunk })
      yield* progress(from + chunk.length)
    }
  })
