/** The keys of a cluster: which ones run entities, and which ones only call them. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { PublicKey } from "../Identity.ts"
import { type KeyError, makeKeys } from "../Policy.ts"

/**
 * The public keys of a cluster, as text or bytes.
 *
 * @category options
 * @since 0.1.0
 */
export interface Lists {
  /** The keys of the runners. Each runner has a key of its own. */
  readonly runners: ReadonlyArray<string | PublicKey>
  /** The keys of processes that only call entities. No runner dials them. By default none. */
  readonly clients?: ReadonlyArray<string | PublicKey>
}

/**
 * Who belongs to the cluster, whatever the database says.
 *
 * @category services
 * @since 0.1.0
 */
export class Members extends Context.Service<
  Members,
  {
    /** Whether runners and clients may dial this key. */
    readonly isRunner: (key: PublicKey) => Effect.Effect<boolean>
    /** Whether runners let this key in. */
    readonly isMember: (key: PublicKey) => Effect.Effect<boolean>
    /**
     * Replaces both lists. Open connections stay. If a text is not a public key, it fails and changes nothing: the
     * error counts the runners first, then the clients.
     */
    readonly replace: (lists: Lists) => Effect.Effect<void, KeyError>
  }
>()("effect-multiserver/cluster/Members (Cluster.layerMembers gives it)") {}

const allOf = ({ clients = [], runners }: Lists): ReadonlyArray<string | PublicKey> => [...runners, ...clients]

/** Makes the service. */
export const make = (lists: Lists): Effect.Effect<Members["Service"], KeyError> =>
  Effect.gen(function* () {
    const all = yield* makeKeys(allOf(lists))
    const runners = yield* makeKeys(lists.runners)
    return {
      isRunner: (publicKey) => runners.authorize({ publicKey }),
      isMember: (publicKey) => all.authorize({ publicKey }),
      // The first list has all keys of the second, so where the second would fail, the first has failed already.
      replace: (next) => Effect.andThen(all.replace(allOf(next)), runners.replace(next.runners))
    }
  })

/**
 * The members, from lists of their keys.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMembers = (lists: Lists): Layer.Layer<Members, KeyError> => Layer.effect(Members, make(lists))

/**
 * Lets members in, and no others: `NodeMultiserver.layer({ authorize: Cluster.authorize })`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const authorize = ({ publicKey }: { readonly publicKey: PublicKey }): Effect.Effect<boolean, never, Members> =>
  Effect.flatMap(Members, ({ isMember }) => isMember(publicKey))
