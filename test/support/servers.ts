/** What most tests need: a Multiserver with an identity of its own, its events, and the usual handlers. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type * as Connection from "../../src/Connection.ts"
import type { ConnectionError } from "../../src/ConnectionError.ts"
import * as NodeKem from "../../src/crypto/NodeKem.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Events from "../../src/Events.ts"
import * as Identity from "../../src/Identity.ts"
import * as Limits from "../../src/Limits.ts"
import type * as Listener from "../../src/Listener.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Memory from "../../src/memory/Memory.ts"
import * as Net from "../../src/net/Net.ts"
import * as Noise from "../../src/noise/Noise.ts"
import * as NoisePq from "../../src/noisepq/NoisePq.ts"
import * as Shs from "../../src/shs/Shs.ts"

/** `net`, `memory`, `shs`, `noise` and `noisepq`, with a new identity. */
export const protocols = <E = never, R = never>(options: Shs.Options<E, R> = {}) =>
  Layer.mergeAll(Net.layer(), Memory.layer(), Shs.layer(options), Noise.layer(options), NoisePq.layer(options)).pipe(
    Layer.provideMerge(Identity.layerEphemeral),
    Layer.provide([Sodium.layer, NodeKem.layer])
  )

/**
 * No deadline that a busy machine could reach, and little grace for the handlers of a listener that the end of a test
 * stops.
 */
export const limits: Limits.LimitValues = {
  ...Limits.defaults,
  handshake: Duration.minutes(10),
  grace: Duration.millis(50)
}

/**
 * A Multiserver for `net`, `memory`, each bare and with shs, noise and noisepq, and a new identity; its listeners have
 * little grace.
 */
export const multiserver = <E = never, R = never>(options: Shs.Options<E, R> = {}) =>
  Multiserver.layer([
    ...(["net~shs", "net~noise", "net~noisepq", "memory~shs", "memory~noise", "memory~noisepq"] as const),
    ...(["net", "memory"] as const)
  ]).pipe(
    Layer.provideMerge(protocols(options)),
    Layer.provide(Layer.succeed(Limits.Limits, { ...Limits.defaults, grace: Duration.millis(50) }))
  )

/** The next event, which has to be of this kind: one too many is as wrong as one too few. */
export const expectEvent = <const Tag extends Events.Event["_tag"]>(
  events: Queue.Dequeue<Events.Event>,
  tag: Tag
): Effect.Effect<Extract<Events.Event, { readonly _tag: Tag }>> =>
  Effect.flatMap(Queue.take(events), (event) =>
    isTagged(event, tag) ? Effect.succeed(event) : Effect.die(new Error(`not ${tag}: ${JSON.stringify(event)}`))
  )

const isTagged = <const Tag extends Events.Event["_tag"]>(
  event: Events.Event,
  tag: Tag
): event is Extract<Events.Event, { readonly _tag: Tag }> => event._tag === tag

/** Collects events. */
export const recorder = (events: Array<Events.Event>) =>
  Events.layer((event) => Effect.sync(() => void events.push(event)))

/** Everything until the peer's goodbye. */
export const readAll = (connection: Connection.Connection): Effect.Effect<Uint8Array, ConnectionError> =>
  Effect.gen(function* () {
    const chunks: Array<Uint8Array> = []
    return yield* connection.pull.pipe(
      Effect.map((batch) => void chunks.push(...batch)),
      Effect.forever({ disableYield: true }),
      Effect.catchIf(Cause.isDone, () => Effect.sync(() => new Uint8Array(Buffer.concat(chunks))))
    )
  })

/** Writes back what arrives, then the goodbye. */
export const echo = (connection: Connection.Connection): Effect.Effect<void, ConnectionError> =>
  connection.pull.pipe(
    Effect.flatMap(connection.writeAll),
    Effect.forever({ disableYield: true }),
    Effect.catchIf(Cause.isDone, () => connection.end)
  )

/** Listens, runs the handler as long as the test, and gives the addresses. */
export const served = <E, R>(targets: Multiserver.Target, handler: Listener.Handler<E, R>) =>
  Effect.gen(function* () {
    const listener = yield* Multiserver.listen(targets)
    yield* Effect.forkScoped(listener.run(handler))
    return listener.addresses()
  })

/**
 * Both ends of a connection over the address: the dialer's, and the listener's, which stays open as long as the test.
 */
export const pair = (target: Multiserver.Target) =>
  Effect.gen(function* () {
    let accepted: ((connection: Connection.Connection) => void) | undefined
    const far = new Promise<Connection.Connection>((resolve) => {
      accepted = resolve
    })
    const [address] = yield* served(target, (connection) =>
      Effect.andThen(
        Effect.sync(() => accepted?.(connection)),
        Effect.never
      )
    )
    const near = yield* Multiserver.dial(address as NonNullable<typeof address>)
    return [near, yield* Effect.promise(() => far)] as const
  })

/** `net:127.0.0.1:PORT` of ports that are free, for addresses that others have to know before anybody listens. */
export const freeAddresses = (count: number): Effect.Effect<ReadonlyArray<string>> =>
  Effect.all(
    Array.from({ length: count }, () =>
      Effect.map(Multiserver.listen("net:127.0.0.1:0"), (listener) => String(listener.addresses()[0]))
    )
  ).pipe(Effect.orDie, Effect.scoped, Effect.provide(Multiserver.layer(["net"]).pipe(Layer.provide(Net.layer()))))

/** Random-looking bytes that can be made again: byte i of the stream `seed`. */
export const pattern = (length: number, seed = 1): Uint8Array => {
  const out = new Uint8Array(length)
  let state = seed >>> 0 || 1
  for (let i = 0; i < length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    out[i] = state & 0xff
  }
  return out
}

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

/** A turn of the event loop, in which microtasks and what hangs on them run. */
export const turn: Effect.Effect<void> = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

/**
 * As many turns as anything takes that is on its way between two ends in this process, through kernels too. What has
 * not happened by then waits for something else. (Name lookups and zlib work in other threads: they have no turns.)
 */
export const turns: Effect.Effect<void> = Effect.asVoid(Effect.repeat(turn, { times: 50 }))

/** Waits until it is so, whatever clock the test has; only the test's own bound ends a wait for what never comes. */
export const until = (holds: () => boolean): Effect.Effect<void> =>
  Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 2))).pipe(
    Effect.repeat({ until: holds }),
    Effect.asVoid
  )
