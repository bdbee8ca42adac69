/** A search for a key: all sources are asked at the same time, and what they say is checked. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { type AddressRecord, maxAddresses, type Records } from "../AddressRecord.ts"
import type { AddressRecords } from "../AddressRecords.ts"
import type { Sink } from "../Events.ts"
import { formatPublicKey, type PublicKey } from "../Identity.ts"
import { nowSeconds } from "../sinceEpoch.ts"
import { LookupError } from "./errors.ts"
import { ask, type Bounds } from "./question.ts"
import type { Offer, Source, SourceError } from "./source.ts"

/**
 * Where the peer may be reached, by one source.
 *
 * @category models
 * @since 0.1.0
 */
export interface Found {
  /** The source's name; `known` for a record that was found before. */
  readonly source: string
  /** Whether the source speaks about the local network. */
  readonly near: boolean
  /** As text: they need not parse. */
  readonly addresses: ReadonlyArray<string>
  /** The record in which they stand; `undefined` when nobody signed them. */
  readonly record: AddressRecord | undefined
}

/** What all searches of a `Lookup` share. */
export interface Shared {
  readonly sources: ReadonlyArray<Source>
  readonly bounds: Bounds
  readonly wire: Records
  readonly kept: AddressRecords
  /** Called when `kept` has changed. */
  readonly changed: Effect.Effect<void>
  readonly emit: Sink
}

/** The record in these bytes, if it is one of this peer and nothing is known that contradicts it. */
const examine = Effect.fnUntraced(function* (
  { changed, emit, kept, wire }: Shared,
  source: string,
  peer: string,
  bytes: Uint8Array
) {
  const decoded = wire.decode(bytes)
  if (Result.isFailure(decoded)) {
    yield* emit({ _tag: "RecordRefused", source, peer, tag: decoded.failure.reason._tag })
    return undefined
  }
  const record = decoded.success
  if (formatPublicKey(record.publicKey) !== peer) {
    yield* emit({ _tag: "RecordRefused", source, peer, tag: "OtherPeer" })
    return undefined
  }
  const verdict = kept.add(record, yield* nowSeconds)
  if (verdict === "newest") yield* changed
  if (verdict === "conflict") yield* emit({ _tag: "RecordConflict", source, peer, sequence: record.sequence })
  return verdict === "newest" || verdict === "known" ? record : undefined
})

const foundIn = (
  shared: Shared,
  { name, near = false }: Source,
  peer: string,
  offer: Offer
): Effect.Effect<Found | undefined> => {
  if (offer._tag === "Heard") {
    return Effect.succeed({ source: name, near, addresses: offer.addresses.slice(0, maxAddresses), record: undefined })
  }
  return Effect.map(examine(shared, name, peer, offer.bytes), (record) =>
    record === undefined ? undefined : { source: name, near, addresses: record.addresses, record }
  )
}

export const search =
  (shared: Shared) =>
  (key: PublicKey): Stream.Stream<Found, LookupError> =>
    Stream.suspend(() => {
      const { bounds, emit, kept, sources } = shared
      const peer = formatPublicKey(key)
      const failures: Array<SourceError> = []
      let sequence = -1
      let isEmpty = true
      /** Several sources have the same record, and some have older ones. */
      const isNews = (found: Found | undefined): found is Found => {
        if (found === undefined) return false
        const { record } = found
        if (record !== undefined && record.sequence <= sequence) return false
        sequence = record?.sequence ?? sequence
        isEmpty = false
        return true
      }
      const known = (hasExpired: boolean): Stream.Stream<Found> =>
        Stream.fromIterableEffect(
          Effect.map(nowSeconds, (now) => {
            const record = kept.get(key)
            if (record === undefined || kept.hasExpired(key, now) !== hasExpired) return []
            return [{ source: "known", near: false, addresses: record.addresses, record }]
          })
        )
      const failed = (error: SourceError) => {
        failures.push(error)
        const { isRetryable, message, source } = error
        return emit({ _tag: "SourceFailed", source, message, isRetryable })
      }
      const asked = sources.map((source) =>
        Stream.mapEffect(ask(source, key, bounds, failed), (offer) => foundIn(shared, source, peer, offer))
      )
      const end = Stream.suspend(() =>
        isEmpty && failures.length > 0 ? Stream.fail(new LookupError({ peer, failures })) : Stream.empty
      )
      return known(false).pipe(
        Stream.concat(Stream.mergeAll(asked, { concurrency: "unbounded" })),
        Stream.concat(known(true)),
        Stream.filter(isNews),
        Stream.concat(end)
      )
    })
