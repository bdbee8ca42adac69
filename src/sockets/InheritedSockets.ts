/**
 * Sockets that this process has inherited: the program that has started it has bound them. systemd does so for socket
 * activation, where a service starts with its first connection, and where no connection is refused while it restarts.
 *
 * A layer of this module is provided to a Multiserver, with the addresses that it is to listen on. An address that
 * names an inherited socket then listens with it. Any other address is bound as usual. A socket that no address names
 * is an error. Limits, policy and the events are those of any listener. When a listener stops, this process closes the
 * socket; what else has it, such as systemd, keeps the connections that arrive, for whatever listens next.
 *
 * An address of `net`, `ws` or `wss` names a TCP socket of its IP and port; `unix` names one of its path. `localhost`
 * names 127.0.0.1 or ::1. `0.0.0.0` names `[::]` too, if that has no address of its own, because such a socket takes
 * IPv4 as well. Other names and port 0 name no socket. Who can connect to a unix socket is what its mode says: see
 * `Unix.layer`.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import { printable } from "../printable.ts"
import { Inherited, InheritedSockets } from "./inherited.ts"
import { isSocket, open } from "./openInherited.ts"

export { type Inherited, InheritedSockets } from "./inherited.ts"

/**
 * A variable that describes the sockets can't be read.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadVariable extends Schema.TaggedError<BadVariable>()("BadVariable", {
  name: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.name}: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * A descriptor is none of a socket to listen with.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotListening extends Schema.TaggedError<NotListening>()("NotListening", {
  descriptor: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return `can't listen with the inherited descriptor ${this.descriptor}: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * None of the addresses names the socket. `boundTo` is its IP and port, or its path; `example` is an address that names
 * it.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unnamed extends Schema.TaggedError<Unnamed>()("Unnamed", {
  descriptor: Schema.Int,
  boundTo: Schema.String,
  example: Schema.String
}) {
  override get message(): string {
    return (
      `the inherited descriptor ${this.descriptor} is a socket that is bound to ${this.boundTo}, and no address that ` +
      `is listened on names it: listen on ${this.example}, with your transforms, or don't pass the socket`
    )
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * The inherited sockets can't be used, and none of them is.
 *
 * @category errors
 * @since 0.1.0
 */
export class InheritedSocketsError extends Schema.TaggedError<InheritedSocketsError>(
  "effect-multiserver/InheritedSocketsError"
)("InheritedSocketsError", { reason: Schema.Union([BadVariable, NotListening, Unnamed]) }) {
  override get message(): string {
    return this.reason.message
  }
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
}

const failed = (reason: InheritedSocketsError["reason"]) => Effect.fail(new InheritedSocketsError({ reason }))

/** Addresses as text, joined by `;`, or decoded. */
type Addresses = string | ReadonlyArray<Address.Address>

const make = (
  descriptors: ReadonlyArray<number>,
  listened: Addresses
): Effect.Effect<Inherited, Address.AddressError | InheritedSocketsError, Scope.Scope> =>
  Effect.gen(function* () {
    const addresses = typeof listened === "string" ? yield* Effect.fromResult(Address.parse(listened)) : listened
    const sockets = yield* Effect.forEach(descriptors, (descriptor) =>
      Effect.catch(open(descriptor), (detail) => failed(new NotListening({ descriptor, detail })))
    )
    const { bind } = yield* InheritedSockets
    const inherited = new Inherited(sockets, addresses, bind)
    const { unnamed } = inherited
    if (unnamed !== undefined) {
      const { descriptor, name, place } = unnamed
      return yield* failed(new Unnamed({ descriptor, boundTo: printable(place), example: printable(name) }))
    }
    return inherited
  })

/**
 * The sockets of these descriptors. `addresses` are all that the program listens on. Fails when a descriptor is not a
 * socket to listen with, or when no address names it. The descriptors belong to the layer from then on: it closes those
 * that nothing listens with. So build it once.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  descriptors: ReadonlyArray<number>,
  addresses: Addresses
): Layer.Layer<never, Address.AddressError | InheritedSocketsError> =>
  Layer.effect(InheritedSockets, make(descriptors, addresses))

/** The number of the first descriptor that is passed. */
const first = 3

/** What systemd sets. A child process must not take the sockets for its own. */
const variables = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"] as const

/** The descriptors that the variables name, if they are for this process. */
const fromEnvironment: Effect.Effect<ReadonlyArray<number>, InheritedSocketsError> = Effect.suspend(() => {
  const { LISTEN_FDS: count, LISTEN_PID: pid } = process.env
  if (pid === undefined || count === undefined) return Effect.succeed([])
  const bad = (name: (typeof variables)[number], detail: string) => failed(new BadVariable({ name, detail }))
  if (!/^[1-9]\d{0,9}$/.test(pid)) return bad("LISTEN_PID", "it takes the number of the process that is to listen")
  if (Number(pid) !== process.pid) return Effect.succeed([])
  if (!/^\d{1,6}$/.test(count)) return bad("LISTEN_FDS", "it takes the number of inherited sockets")
  const descriptors = Array.from({ length: Number(count) }, (_, i) => first + i)
  const missing = descriptors.find((descriptor) => !isSocket(descriptor))
  if (missing !== undefined) {
    return bad("LISTEN_FDS", `it says that ${count} sockets are inherited, but descriptor ${missing} is none`)
  }
  for (const name of variables) delete process.env[name]
  return Effect.succeed(descriptors)
})

/**
 * The sockets that systemd, or a program like it, passes to this process: as many as `LISTEN_FDS` says, from descriptor
 * 3 on, if `LISTEN_PID` is this process. Otherwise there are none. The names in `LISTEN_FDNAMES` don't matter.
 * `addresses` are all that the program listens on.
 *
 * The variables are read and removed from `process.env` when the layer is built, so that no child process takes the
 * sockets for its own; a second build finds none. Fails as `layer` does, and when a variable can't be read.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { InheritedSockets, NodeIdentity, NodeMultiserver } from "effect-multiserver/node"
 *
 * const address = "net:0.0.0.0:8008~shs" // for `Multiserver.serve`, too
 * export const Live = NodeMultiserver.layer().pipe(
 *   Layer.provide([InheritedSockets.layerConfig(address), NodeIdentity.layerEphemeral])
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (addresses: Addresses): Layer.Layer<never, Address.AddressError | InheritedSocketsError> =>
  Layer.effect(
    InheritedSockets,
    Effect.flatMap(fromEnvironment, (descriptors) => make(descriptors, addresses))
  )
