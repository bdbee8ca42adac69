/**
 * The records that a node knows, in bounded memory: those of the listed peers and its own, and those of other keys. The
 * two have memories of their own, so however many other records come, a listed peer's record stays.
 */
import { type AddressRecord, keyIn } from "../AddressRecord.ts"
import { AddressRecords, type Verdict } from "../AddressRecords.ts"
import { formatPublicKey, type PublicKey } from "../Identity.ts"
import { sameBytes } from "../sameBytes.ts"
import { type Id, idOf } from "./wire.ts"

export class Known {
  private readonly names: ReadonlySet<string>
  private readonly ids: ReadonlySet<Id>
  private readonly listed: AddressRecords
  private readonly others: AddressRecords
  /** Ids that were made once. */
  private readonly idsOf = new WeakMap<AddressRecord, Id>()
  private index: ReadonlyMap<Id, AddressRecord> | undefined
  /** Called with each record that is kept. */
  readonly hearers = new Set<(record: AddressRecord) => void>()

  /** `listed` are the keys whose records are never evicted, and `others` the most records of other keys. */
  constructor(listed: ReadonlyArray<PublicKey>, others: number) {
    this.names = new Set(listed.map(formatPublicKey))
    this.ids = new Set(listed.map((key) => idOf(key)))
    this.listed = new AddressRecords({ keys: Math.max(1, this.names.size) })
    this.others = new AddressRecords({ keys: others })
  }

  private of(key: PublicKey): AddressRecords {
    return this.names.has(formatPublicKey(key)) ? this.listed : this.others
  }

  /** Whether this is a listed peer, or the node itself. */
  isListed(id: Id): boolean {
    return this.ids.has(id)
  }

  get(key: PublicKey): AddressRecord | undefined {
    return this.of(key).get(key)
  }

  /** Keeps the record if it is the newest of its key. `now` is in seconds since 1970. */
  add(record: AddressRecord, now: number): Verdict {
    const verdict = this.of(record.publicKey).add(record, now)
    if (verdict === "newest") {
      this.index = undefined
      for (const hear of this.hearers) hear(record)
    }
    return verdict
  }

  /** All records by their ids: those of the listed peers come first. */
  entries(): ReadonlyMap<Id, AddressRecord> {
    this.index ??= new Map([...this.listed.all(), ...this.others.all()].map((record) => [this.idOf(record), record]))
    return this.index
  }

  private idOf(record: AddressRecord): Id {
    const known = this.idsOf.get(record)
    if (known !== undefined) return known
    const id = idOf(record.publicKey)
    this.idsOf.set(record, id)
    return id
  }

  /** The record of these bytes, if it is known already: then it needs no second look at its signature. */
  sameAs(bytes: Uint8Array): AddressRecord | undefined {
    const key = keyIn(bytes)
    const record = key && this.get(key)
    return record !== undefined && sameBytes(record.bytes, bytes) ? record : undefined
  }

  /** How many records of listed peers there are: as many entries are theirs. */
  get listedSize(): number {
    return this.listed.size
  }
}
