// #region server
import { Effect, Layer } from "effect"
import { type Identity, Lookup, Multiserver, PeerMultiserver, Tracker } from "effect-multiserver/node"

/** A tracker, as long as the layer lives. Its addresses are what peers are given. */
export const layerServer = (target: Multiserver.Target) => Tracker.layer(target)
// #endregion

// #region peers
/**
 * A Multiserver that dials `peer:KEY`, over another one and a tracker. By default it follows records to public IPs
 * only. The option `dial: {}` allows all, for a tracker and peers on one machine.
 */
export const layerPeers = (tracker: Multiserver.Target, options?: PeerMultiserver.Options) =>
  PeerMultiserver.layer(options).pipe(Layer.provideMerge(Lookup.layer([Tracker.source({ at: tracker })])))
// #endregion

// #region publish
/** Listens, and publishes where: again when that changes, and again before the record expires. */
export const greet = (target: Multiserver.Target, options?: Lookup.PublishingOptions) =>
  Effect.gen(function* () {
    const listener = yield* Multiserver.listen(target)
    yield* Effect.forkScoped(Lookup.publishing(listener, options))
    return yield* listener.run(({ write }) => write(new TextEncoder().encode("hello")))
  })
// #endregion

// #region dial
/** Dials a peer by its key, wherever it is. */
export const dial = (key: Identity.PublicKey) => Multiserver.dial(PeerMultiserver.address(key))
// #endregion
