/** People in one process, each with an identity of its own, a tracker, and peers that do not keep to the rules. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as RpcClient from "effect/rpc/RpcClient"
import type { FromClientEncoded } from "effect/rpc/RpcMessage"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as TestClock from "effect/testing/TestClock"
import * as AddressRecord from "../../src/AddressRecord.ts"
import * as MultiserverSocket from "../../src/bridge/MultiserverSocket.ts"
import * as MultiserverSocketServer from "../../src/bridge/MultiserverSocketServer.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Identity from "../../src/Identity.ts"
import * as Lookup from "../../src/Lookup.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Memory from "../../src/memory/Memory.ts"
import * as Net from "../../src/net/Net.ts"
import * as Noise from "../../src/noise/Noise.ts"
import * as Shs from "../../src/shs/Shs.ts"
import * as Tracker from "../../src/Tracker.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { turn } from "../support/servers.ts"

/** Makes people who share the names of one `memory`. */
export const people = Effect.map(Layer.build(Memory.layer()), (memory) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      Multiserver.layer(["memory~shs", "memory", "net~shs", "ws~noise"]).pipe(
        Layer.provide([Layer.succeedContext(memory), Net.layer(), WebSocket.layer(), Shs.layer(), Noise.layer()]),
        Layer.provideMerge(Layer.fresh(Identity.layerEphemeral)),
        Layer.provideMerge(Sodium.layer)
      )
    )
    const pair = yield* Effect.provideContext(Identity.Identity, context)
    return { as: Effect.provideContext(context), pair, layer: Layer.succeedContext(context) }
  })
)

export type Person = Effect.Success<Effect.Success<typeof people>>

/** A time in seconds since 1970, from now. */
export const inSeconds = (seconds: number) =>
  Effect.map(
    Effect.clockWith(({ currentTimeMillis }) => currentTimeMillis),
    (millis) => Math.floor(millis / 1000 + seconds)
  )

/** A record of this person that is valid for an hour, unless it says something else. */
export const recordOf = (
  { as, pair }: Person,
  { addresses = ["memory:somewhere~shs"], ...rest }: Partial<AddressRecord.Unsigned> = {}
) =>
  Effect.flatMap(inSeconds(3600), (expires) =>
    as(AddressRecord.sign(pair, { addresses, sequence: 1, expires, ...rest }))
  )

/** A client as Effect's RPC makes it. */
export const callsOf = ({ as }: Person, target: Multiserver.Target) =>
  Effect.gen(function* () {
    const connection = yield* as(Multiserver.dial(target))
    const socket = yield* MultiserverSocket.toSocket(Effect.succeed(connection))
    const protocol = yield* Layer.build(
      RpcClient.layerProtocolSocket({ retryPolicy: Schedule.recurs(0) }).pipe(
        Layer.provide([Layer.succeed(Socket.Socket, socket), RpcSerialization.layerSchemaBinary()])
      )
    )
    return yield* Effect.provide(RpcClient.make(Tracker.Procedures), protocol)
  })

/** A server as Effect's RPC makes it, whose answers are these. */
export const answering = (
  { as }: Person,
  target: Multiserver.Target,
  find: () => Effect.Effect<ReadonlyArray<Uint8Array>, Tracker.TrackerError>
) =>
  Effect.gen(function* () {
    const listener = yield* as(Multiserver.listen(target))
    const handlers = Tracker.Procedures.toLayer({ Find: find, Publish: () => Effect.void })
    yield* Layer.build(
      RpcServer.layer(Tracker.Procedures, { disableFatalDefects: true }).pipe(
        Layer.provide([handlers, RpcServer.layerProtocolSocketServer]),
        Layer.provide([
          Layer.succeed(SocketServer.SocketServer, MultiserverSocketServer.fromListener(listener)),
          RpcSerialization.layerSchemaBinary()
        ])
      )
    )
    return listener.addresses()
  })

/** The bytes of messages to a tracker, as Effect's RPC writes them. */
export const written = (...messages: ReadonlyArray<FromClientEncoded>) =>
  Effect.gen(function* () {
    const parser = (yield* RpcSerialization.RpcSerialization).makeUnsafe()
    const parts = messages.map((message) => parser.encode(message))
    return new Uint8Array(Buffer.concat(parts.map((part) => (part instanceof Uint8Array ? part : new Uint8Array(0)))))
  }).pipe(Effect.provide(RpcSerialization.layerSchemaBinary()))

/** Calls of `Find` for a key, with these numbers. */
export const finds = (key: Uint8Array, ...ids: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const { codecFor } = yield* RpcSerialization.RpcSerialization
    const { payloadSchema } = yield* Effect.fromNullishOr(Tracker.Procedures.requests.get("Find"))
    const payload = yield* Schema.encodeUnknownEffect(codecFor(payloadSchema))({ key })
    return ids.map((id): FromClientEncoded => ({ _tag: "Request", id, tag: "Find", payload, headers: [] }))
  }).pipe(Effect.provide(RpcSerialization.layerSchemaBinary()))

/** A look-up by one tracker. */
export const lookupBy = (
  { as, layer }: Person,
  options: Tracker.SourceOptions,
  how: Lookup.Options = {}
): Effect.Effect<Lookup.Lookup["Service"], unknown, Scope.Scope> =>
  as(
    Effect.map(Layer.build(Lookup.layer([Tracker.source(options)], how).pipe(Layer.provide(layer))), (context) =>
      Effect.runSync(Effect.provideContext(Lookup.Lookup, context))
    )
  )

/** Runs an effect, and lets time pass meanwhile: who says goodbye looks at the clock for the peer's. */
export const passing = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const running = yield* Effect.forkChild(effect)
    while (running.pollUnsafe() === undefined) {
      yield* turn
      yield* TestClock.adjust("20 millis")
    }
    return yield* Fiber.join(running)
  })

/** The first record that is found. */
export const first = (lookup: Lookup.Lookup["Service"], key: Identity.PublicKey) =>
  Effect.map(Stream.runCollect(lookup.find(key)), ([record]) => record)
