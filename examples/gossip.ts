/** docs/lookup-gossip.md: programs that find each other by key, without a server. */
// #region gossip
import { Effect, Layer } from "effect"
import type { Identity } from "effect-multiserver/node"
import { Gossip, Lookup, Multiserver, NodeMultiserver, PeerMultiserver, Policy, Sodium } from "effect-multiserver/node"

/** The programs of a group. All of them have this list; each finds itself on it by its key. */
export interface Group {
  /** Where this program listens for gossip: `net:0.0.0.0:8010~noise`. */
  readonly listen: string
  /** Where the others do: `net:192.0.2.1:8010~noise:KEY`. */
  readonly peers: ReadonlyArray<string>
  readonly keys: ReadonlyArray<string>
}

/** Gossips with the group. Its Multiserver lets in nobody else, so that strangers get no further than a handshake. */
export const gossip = ({ keys, listen, peers }: Group, rules: PeerMultiserver.Options = {}) =>
  Layer.unwrap(
    Effect.map(Policy.makeKeys(keys), ({ authorize }) =>
      PeerMultiserver.layer(rules).pipe(
        Layer.provideMerge(Lookup.layer([Gossip.source({ listen, peers })])),
        Layer.provide(NodeMultiserver.layer({ authorize }))
      )
    )
  ).pipe(Layer.provide(Sodium.layer))
// #endregion

// #region use
/** Greets whoever connects, and has the group know where. `scope: "public"` publishes what everybody can dial. */
export const greet = (target: Multiserver.Target) =>
  Effect.gen(function* () {
    const listener = yield* Multiserver.listen(target)
    yield* Lookup.publish(listener.addresses())
    yield* Effect.forkScoped(listener.run(({ write }) => write(new TextEncoder().encode("hello"))))
  })

/** Dials a member of the group by its key, wherever it is now. */
export const dial = (key: Identity.PublicKey) => Multiserver.dial(PeerMultiserver.address(key))
// #endregion
