/** What the parent process and its workers tell each other. */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { AddressError } from "../AddressError.ts"
import * as Events from "../Events.ts"
import { ListenError } from "../ListenError.ts"
import { envelope } from "../workerChannel.ts"
import { WorkersError } from "./errors.ts"

/** How workers share a port: each listens on it (`SO_REUSEPORT`), or all take from one socket of the parent. */
export const Sharing = Schema.Literals(["reusePort", "cluster"])

/** The addresses of one listener, by the scope from which they can be dialed. */
export const Places = Schema.Struct({
  device: Schema.Array(Schema.String),
  local: Schema.Array(Schema.String),
  public: Schema.Array(Schema.String),
  /** What all workers have in common, however the interfaces change: protocols, ports and keys. */
  alike: Schema.Array(Schema.String)
})
export type Places = typeof Places.Type

/** From the parent, as the answer to `Hello`. */
export const Init = Schema.TaggedStruct("Init", {
  /** The number of the worker, from 0; a worker that is started again has the same. */
  index: Schema.Int,
  workers: Schema.Int,
  /** How many workers were started before this one. */
  before: Schema.Int,
  sharing: Sharing,
  /** The ports that stand for port 0, once they are known. */
  ports: Schema.Record(Schema.String, Schema.Int),
  /** The secret key of the parent's identity, base64; `null` where it has none. */
  secret: Schema.NullOr(Schema.String),
  /** How many events may be under way. 0: the parent has no sink. */
  events: Schema.Int
})
export type Init = typeof Init.Type

const ToWorker = Schema.Union([
  Init,
  Schema.TaggedStruct("Taken", { events: Schema.Int }),
  Schema.TaggedStruct("Stop", {})
])
export type ToWorker = typeof ToWorker.Type

const FromWorker = Schema.Union([
  Schema.TaggedStruct("Happened", { events: Schema.Array(Events.Event) }),
  Schema.TaggedStruct("Hello", {}),
  Schema.TaggedStruct("Bound", { place: Schema.String, port: Schema.Int }),
  Schema.TaggedStruct("Ready", {
    listeners: Schema.Array(Places),
    /** How long it may take to stop. */
    graceMillis: Schema.Number
  }),
  Schema.TaggedStruct("Failed", {
    error: Schema.NullOr(Schema.Union([ListenError, AddressError, WorkersError])),
    detail: Schema.String
  }),
  /** Events that the worker could not send, because the parent took none for too long. */
  Schema.TaggedStruct("Lost", { events: Schema.Int }),
  /** What the program itself reports. */
  Schema.TaggedStruct("Said", { said: Schema.Json })
])
export type FromWorker = typeof FromWorker.Type

const Envelope = Schema.Struct({ [envelope]: Schema.Unknown })
const decodeEnvelope = Schema.decodeUnknownOption(Envelope)

/** What is in an envelope. None for a message of somebody else. */
const opened = (message: unknown): Option.Option<unknown> =>
  Option.map(decodeEnvelope(message), (found) => found[envelope])

const decodeToWorker = Schema.decodeUnknownOption(Schema.toCodecJson(ToWorker))
const decodeFromWorker = Schema.decodeUnknownOption(Schema.toCodecJson(FromWorker))

/** Reads a message of the parent. */
export const toWorker = (message: unknown): Option.Option<ToWorker> => Option.flatMap(opened(message), decodeToWorker)

/** Reads a message of a worker. */
export const fromWorker = (message: unknown): Option.Option<FromWorker> =>
  Option.flatMap(opened(message), decodeFromWorker)

export const encodeToWorker = Schema.encodeSync(Schema.toCodecJson(ToWorker))
export const encodeFromWorker = Schema.encodeSync(Schema.toCodecJson(FromWorker))

const encodeEvent = Schema.encodeSync(Schema.toCodecJson(Events.Event))

/** Whether the event is its own encoding: it holds no error. Almost all are, and this costs a tenth. */
const isPlain = (event: Events.Event): boolean => {
  switch (event._tag) {
    case "Connected":
      return event.failed.length === 0
    case "Closed":
      return event.failure === undefined
    default:
      return event._tag === "Refused"
  }
}

/** The message about these events, encoded. */
export const encodeHappened = (events: ReadonlyArray<Events.Event>): unknown => ({
  _tag: "Happened",
  events: events.map((event) => (isPlain(event) ? event : encodeEvent(event)))
})
