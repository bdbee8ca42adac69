/**
 * Lookup: where is the peer of this key? Any number of sources are asked: files, trackers, gossip, the local network.
 * None of them is believed: each record is signed by the peer that it is about. `PeerMultiserver` dials with it.
 *
 * What a source can do: say nothing, answer late, give an older record of the peer, and learn who is looked for. What
 * it can't do: name addresses for another peer's key, change a record, or have a record believed that is older than one
 * which this program has seen.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Address } from "./Address.ts"
import * as AddressRecord from "./AddressRecord.ts"
import { AddressRecords, type Options as RecordsOptions } from "./AddressRecords.ts"
import type { Primitives } from "./crypto/Primitives.ts"
import { Events } from "./Events.ts"
import { emitTo } from "./guarded.ts"
import { Identity, type PublicKey } from "./Identity.ts"
import { Limits } from "./Limits.ts"
import type { Listener, Scopes } from "./Listener.ts"
import type { LookupError, PublishError } from "./lookup/errors.ts"
import { type Published, publisher } from "./lookup/publish.ts"
import { type Found, type Shared, search } from "./lookup/search.ts"
import type { Source } from "./lookup/source.ts"
import * as Store from "./lookup/store.ts"
import { positive } from "./positive.ts"
import { nowSeconds } from "./sinceEpoch.ts"

export { LookupError, PublishError } from "./lookup/errors.ts"
export type { Published } from "./lookup/publish.ts"
export type { Found } from "./lookup/search.ts"
export { type Offer, type Source, SourceError } from "./lookup/source.ts"
export { fromFile, fromRecords, makeBoard } from "./lookup/sources.ts"

// -----------------------------------------------------------------------------
// the service
// -----------------------------------------------------------------------------

/**
 * Finds the addresses of peers by their keys, and publishes one's own. `Lookup.layer` makes one from sources.
 *
 * @category services
 * @since 0.1.0
 */
export class Lookup extends Context.Service<
  Lookup,
  {
    /**
     * The records of a peer, each newer than the one before it. The first is the one that is known already. The sources
     * are asked when the reader of the stream wants more: all at the same time, each for at most `patience`. A known
     * record that has expired comes last. Without any record the stream is empty, or fails if a source has failed.
     */
    readonly find: (key: PublicKey) => Stream.Stream<AddressRecord.AddressRecord, LookupError>
    /** The same with what nobody signed, such as announcements in the local network. */
    readonly search: (key: PublicKey) => Stream.Stream<Found, LookupError>
    /**
     * Signs a record of these addresses with the identity, newer than the ones before, and gives it to all sources that
     * take records. Succeeds when one of them has taken it.
     */
    readonly publish: (
      addresses: ReadonlyArray<string | Address>
    ) => Effect.Effect<Published, PublishError | AddressRecord.RecordError>
  }
>()("effect-multiserver/Lookup (Lookup.layer gives it)") {}

// -----------------------------------------------------------------------------
// the layer
// -----------------------------------------------------------------------------

/**
 * How a `Lookup` works.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** How long each source is waited for. By default 10 seconds. */
  readonly patience?: Duration.Input
  /** How many answers of one source to one question are looked at. By default 16. */
  readonly offers?: number
  /** How long a published record says that it is valid. By default one hour. */
  readonly validity?: Duration.Input
  /** How many records are remembered. */
  readonly records?: RecordsOptions
  /** Where records are remembered after the program has ended. By default nowhere. */
  readonly store?: KeyValueStore.KeyValueStore
}

/**
 * A `Lookup` over these sources. Each is an effect that makes a `Source` and may acquire resources, such as `fromFile`
 * or `Tracker.source`. Reads `AppKey`, `Events` and `Limits` when it is built.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const Sources extends ReadonlyArray<Effect.Effect<Source, unknown, unknown>>>(
  sources: Sources,
  { offers = 16, patience = "10 seconds", records, store, validity = "1 hour" }: Options = {}
): Layer.Layer<
  Lookup,
  Effect.Error<Sources[number]>,
  Identity | Primitives | Exclude<Effect.Services<Sources[number]>, Scope.Scope>
> => {
  positive({ offers })
  return Layer.effect(
    Lookup,
    Effect.gen(function* () {
      // What each of them needs and how it may fail is that of one of them: the compiler can't follow a generic list.
      const made = sources as ReadonlyArray<
        Effect.Effect<Source, Effect.Error<Sources[number]>, Effect.Services<Sources[number]>>
      >
      const wire = yield* AddressRecord.records
      const kept = new AddressRecords(records)
      const shared: Shared = {
        sources: yield* Effect.all(made),
        bounds: { patience: Duration.fromInputUnsafe(patience), offers },
        wire,
        kept,
        changed: store === undefined ? Effect.void : yield* Store.keep(store, wire, kept, yield* nowSeconds),
        emit: emitTo(yield* Events, (yield* Limits).close)
      }
      const find = search(shared)
      return {
        search: find,
        find: (key) =>
          find(key).pipe(
            Stream.map(({ record }) => record),
            Stream.filter((record) => record !== undefined)
          ),
        publish: publisher(shared, yield* Identity, Duration.fromInputUnsafe(validity))
      }
    })
  )
}

// -----------------------------------------------------------------------------
// publishing
// -----------------------------------------------------------------------------

/**
 * The records of a peer: see `Lookup`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const find = (key: PublicKey): Stream.Stream<AddressRecord.AddressRecord, LookupError, Lookup> =>
  Stream.unwrap(Lookup.use((self) => Effect.succeed(self.find(key))))

/**
 * Publishes these addresses once: see `Lookup`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const publish = (
  addresses: ReadonlyArray<string | Address>
): Effect.Effect<Published, PublishError | AddressRecord.RecordError, Lookup> =>
  Lookup.use((self) => self.publish(addresses))

/**
 * How the addresses of a listener are published.
 *
 * @category options
 * @since 0.1.0
 */
export interface PublishingOptions {
  /** From where the published addresses can be dialed. By default `public`: from everywhere. */
  readonly scope?: Scopes
  /**
   * How often they are published when they have not changed. By default every 20 minutes. It is sooner if the record
   * that was published is valid for less than twice as long.
   */
  readonly every?: Duration.Input
}

/** After a failure: soon, then less and less often, at most every five minutes. */
const patiently = Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("5 minutes")]).pipe(Schedule.jittered)

/**
 * Publishes the addresses of a listener, again when they change, and again before the record expires. What fails is
 * logged and tried again. It never ends: fork it in the scope of the listener. Of more addresses than a record can
 * have, the first that fit are published. While there are none in the scope, nothing is published, and that is logged.
 *
 * @category combinators
 * @since 0.1.0
 */
export const publishing = (
  listener: Pick<Listener, "addressChanges">,
  { every = "20 minutes", scope = "public" }: PublishingOptions = {}
): Effect.Effect<never, never, Lookup> =>
  Effect.gen(function* () {
    const lookup = yield* Lookup
    const pause = (validSeconds: number) => Math.min(Duration.toMillis(every), (validSeconds * 1000) / 2)
    const again = (addresses: ReadonlyArray<Address>) =>
      addresses.length === 0
        ? Effect.logWarning("nothing is published: the listener has no address that can be dialed from there")
        : fitting(lookup, addresses).pipe(
            Effect.tapError((error) => Effect.logWarning(`the addresses could not be published: ${error.message}`)),
            Effect.retry(patiently),
            Effect.flatMap(({ record }) =>
              Effect.flatMap(nowSeconds, (now) => Effect.sleep(pause(record.expires - now)))
            ),
            Effect.forever,
            Effect.ignore
          )
    yield* Stream.runDrain(
      Stream.switchMap(listener.addressChanges(scope), (addresses) => Stream.fromEffect(again(addresses)))
    )
    return yield* Effect.never
  })

/** Publishes as many of the addresses as fit into a record, from the first on. */
const fitting = (
  lookup: Lookup["Service"],
  addresses: ReadonlyArray<Address>
): Effect.Effect<Published, PublishError | AddressRecord.RecordError> =>
  Effect.catchIf(
    lookup.publish(addresses),
    (error) => error._tag === "RecordError" && error.reason._tag === "TooLarge",
    () => Effect.suspend(() => fitting(lookup, addresses.slice(0, -1)))
  )
