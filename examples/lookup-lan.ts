import { Effect, Layer, Stream } from "effect"
import { Connection, type Identity, Lan, Lookup, Multiserver, PeerMultiserver } from "effect-multiserver/node"

// #region serve
/** Sends back what peers send, and announces in the local network where that is. */
export const serve = (target: Multiserver.Target, options: Lan.AnnounceOptions = {}) =>
  Effect.gen(function* () {
    const listener = yield* Multiserver.listen(target)
    yield* Effect.forkScoped(listener.run((peer) => Stream.run(Connection.stream(peer), Connection.sink(peer))))
    yield* Lan.announce(listener, options)
  })
// #endregion

// #region lookup
/** Give it to the program that dials. Only IPs of the local network are dialed, and not loopback. */
export const layer = (options: Lan.SourceOptions = {}, rules: PeerMultiserver.Options = {}) =>
  PeerMultiserver.layer(rules).pipe(Layer.provide(Lookup.layer([Lan.source(options)])))
// #endregion

// #region dial
/** Dials a peer of which only the key is known, if it is heard in the local network. */
export const dial = (key: Identity.PublicKey) => Multiserver.dial(PeerMultiserver.address(key))
// #endregion
