/** What the tests of look-ups share. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as AddressRecord from "../../src/AddressRecord.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import type * as Events from "../../src/Events.ts"
import { Events as Sinks } from "../../src/Events.ts"
import * as Identity from "../../src/Identity.ts"
import type * as Lookup from "../../src/Lookup.ts"

/** Signs a record that expires far in the future of any clock of these tests. */
export const record = (
  pair: Identity.KeyPair,
  sequence: number,
  addresses: ReadonlyArray<string>,
  expires = 10_000_000_000
): Effect.Effect<AddressRecord.AddressRecord> =>
  AddressRecord.sign(pair, { addresses, sequence, expires }).pipe(Effect.orDie, Effect.provide(Sodium.layer))

export const signed = ({ bytes }: Pick<AddressRecord.AddressRecord, "bytes">): Lookup.Offer => ({
  _tag: "Signed",
  bytes
})

/** A source that gives these offers for every key. */
export const source = (name: string, offers: Lookup.Source["find"] | ReadonlyArray<Lookup.Offer>): Lookup.Source => ({
  name,
  find: typeof offers === "function" ? offers : () => Stream.fromIterable(offers)
})

export const keyPair: Effect.Effect<Identity.KeyPair> = Effect.provide(Identity.generate, Sodium.layer)

/** The identity and the primitives of one program, and where its events go. */
export const program = (pair: Identity.KeyPair, events: Array<Events.Event> = []) =>
  Layer.mergeAll(
    Layer.succeed(Identity.Identity, pair),
    Sodium.layer,
    Layer.succeed(Sinks, [(event: Events.Event) => Effect.sync(() => void events.push(event))])
  )
