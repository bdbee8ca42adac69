// #region peer
import { Effect, Layer, Stream } from "effect"
import {
  Connection,
  Lookup,
  Multiserver,
  NodeIdentity,
  NodeMultiserver,
  PeerMultiserver,
  Sodium
} from "effect-multiserver/node"

/** A peer that says where it is, at each start and when its addresses change. */
export const serve = Effect.gen(function* () {
  const listener = yield* Multiserver.listen("net:127.0.0.1:0~noise;ws://127.0.0.1:0~shs")
  yield* Effect.forkScoped(listener.run((peer) => Stream.run(Connection.stream(peer), Connection.sink(peer))))
  // Without `scope`, it publishes the addresses that are public.
  yield* Effect.forkScoped(Lookup.publishing(listener, { scope: "device" }))
})
// #endregion

// #region dialer
/** Sends a text to the peer of this key, wherever it is, and gives the answer. */
export const ask = (key: string, text: string) =>
  Effect.gen(function* () {
    const connection = yield* Multiserver.dial(`peer:${key}`, { timeout: "30 seconds" })
    yield* connection.write(new TextEncoder().encode(text))
    yield* connection.end
    return yield* Connection.stream(connection).pipe(Stream.decodeText, Stream.mkString)
  }).pipe(Effect.scoped)
// #endregion

// #region layers
/** One program: an identity, what it speaks, and where it looks keys up. */
export const live = (...sources: ReadonlyArray<Lookup.Source>) =>
  // `dial` allows this device, because this example runs on one. By default only public IPs are dialed.
  PeerMultiserver.layer({ dial: {} }).pipe(
    Layer.provideMerge(Lookup.layer(sources.map((source) => Effect.succeed(source)))),
    Layer.provide(NodeMultiserver.layer()),
    Layer.provideMerge(NodeIdentity.layerEphemeral),
    Layer.provide(Sodium.layer)
  )
// #endregion
