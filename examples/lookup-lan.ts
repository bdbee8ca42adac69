import { Effect, Option, Stream } from "effect"
import { Connection, type Identity, Lan, Lookup, Multiserver } from "effect-multiserver/node"

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
/** Give it to the program that dials. */
export const layer = (options: Lan.SourceOptions = {}) => Lookup.layer([Lan.source(options)])
// #endregion

// #region dial
/** Dials a peer of which only the key is known, if it is heard in the local network. */
export const dial = (key: Identity.PublicKey) =>
  Effect.gen(function* () {
    const { search } = yield* Lookup.Lookup
    const found = yield* Stream.runHead(search(key))
    if (Option.isNone(found)) return yield* Effect.fail("nobody with this key has been heard" as const)
    return yield* Multiserver.dial(found.value.addresses, { peer: key })
  })
// #endregion
