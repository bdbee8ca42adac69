/** The contract of a source: somebody who may know where peers are, and who is not believed. */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { AddressRecord } from "../AddressRecord.ts"
import type { PublicKey } from "../Identity.ts"
import { printable } from "../printable.ts"
import { cause } from "../schema/cause.ts"

/**
 * What a source answers.
 *
 * - `Signed`: the bytes of an address record, which `Lookup` checks. A source gives them as they came.
 * - `Heard`: addresses that nobody signed, such as an announcement in the local network: each text is one address, and
 *   the first 8 count. A dial can still only reach the peer that it asks for, because the address names the peer's key.
 *
 * @category models
 * @since 0.1.0
 */
export type Offer =
  | { readonly _tag: "Signed"; readonly bytes: Uint8Array }
  | { readonly _tag: "Heard"; readonly addresses: ReadonlyArray<string> }

/**
 * A source could not be asked, or did not take a record.
 *
 * @category errors
 * @since 0.1.0
 */
export class SourceError extends Schema.TaggedError<SourceError>("effect-multiserver/SourceError")("SourceError", {
  /** The `name` of the source. */
  source: Schema.String,
  /** What failed, and what can be done. */
  detail: Schema.String,
  isRetryable: Schema.Boolean,
  cause
}) {
  override get message(): string {
    return `${this.source}: ${printable(this.detail)}`
  }
}

/**
 * Somebody who may know where peers are: a tracker, a file, the peers of a gossip. A source can deny, delay, and give
 * an older record, and it learns who is looked for. `Lookup` bounds how long it is waited for and how much it may say.
 *
 * @category models
 * @since 0.1.0
 */
export interface Source {
  /** For errors and events: `tracker net:192.0.2.1:8010`. */
  readonly name: string
  /**
   * Whether what it says is about the local network. Then a dial may lead to private IPs; by default `false`. Whoever
   * sets this has to know that nobody outside of the network can speak through the source.
   */
  readonly near?: boolean
  /** Asks for a key. It ends when the source has no more to say, and may be interrupted at any time. */
  readonly find: (key: PublicKey) => Stream.Stream<Offer, SourceError>
  /** Gives it this program's own record. A source that can't be written has none. */
  readonly publish?: (record: AddressRecord) => Effect.Effect<void, SourceError>
}
