/**
 * An exchange between two nodes, as a state machine: after it, each has what the other had. It does no I/O and has no
 * clock: `step` takes a message, and says which state follows, what to send, and what became of a record.
 *
 * ```
 * dialer                                          listener
 * begin: Digest ────────────────────────────────▶ AwaitingDigest
 * AwaitingWants ◀──────────────────────────────── Wants, Record ..., End
 * AwaitingTheirs (the records that it lacked)     AwaitingWanted
 * Record ..., End ──────────────────────────────▶
 * AwaitingGoodbye ◀────────────────────────────── Finished
 * ```
 */
import * as Result from "effect/Result"
import type { AddressRecord, Records } from "../AddressRecord.ts"
import type { Verdict } from "../AddressRecords.ts"
import { formatPublicKey } from "../Identity.ts"
import { type Fault, fault } from "./fault.ts"
import type { Known } from "./known.ts"
import { type Digest, type Entry, firstId, type Id, idOf, type Message, maxEntries, maxRecords } from "./wire.ts"

/** What an exchange reads and changes: the memory of its node. */
export interface Node {
  readonly known: Known
  readonly decode: Records["decode"]
  /** A number from 0 to below 1. */
  readonly random: () => number
}

interface AwaitingTheirs {
  readonly _tag: "AwaitingTheirs"
  readonly digest: Digest
  readonly named: ReadonlyMap<Id, Entry>
  readonly wanted: ReadonlyArray<Entry>
  readonly had: ReadonlySet<Id>
}

/** Where an exchange is. */
export type State =
  | { readonly _tag: "AwaitingWants"; readonly digest: Digest }
  | AwaitingTheirs
  | { readonly _tag: "AwaitingGoodbye" }
  | { readonly _tag: "AwaitingDigest" }
  | { readonly _tag: "AwaitingWanted"; readonly wanted: ReadonlyMap<Id, Entry> }
  | { readonly _tag: "Finished" }

/** What follows from a message. */
export interface Step {
  readonly state: State
  readonly send: ReadonlyArray<Message>
  /** A record that came, and what became of it. */
  readonly taken?: { readonly record: AddressRecord; readonly verdict: Verdict }
}

const isWithin = ({ from, until }: Digest, id: Id): boolean => {
  if (from === until) return true
  return from < until ? from <= id && id < until : from <= id || id < until
}

// -----------------------------------------------------------------------------
// the digest
// -----------------------------------------------------------------------------

const entryOf = (id: Id, { expires, sequence }: AddressRecord, now: number): Entry => ({
  id,
  sequence,
  isOnOffer: expires > now
})

/**
 * What the node has. If that is more than a digest can name, it names all listed peers, and the others of a random
 * section of the circle of ids.
 */
export const digestOf = ({ known, random }: Node, now: number): Digest => {
  const all = [...known.entries()].map(([id, record]) => entryOf(id, record, now))
  if (all.length <= maxEntries) return { _tag: "Digest", from: firstId, until: firstId, entries: all }
  const listed = all.slice(0, known.listedSize)
  const others = all.slice(known.listedSize).sort((a, b) => (a.id < b.id ? -1 : 1))
  const start = Math.floor(random() * others.length)
  const circle = [...others.slice(start), ...others.slice(0, start)]
  const room = maxEntries - listed.length
  return {
    _tag: "Digest",
    from: circle[0]?.id ?? firstId,
    until: circle[room]?.id ?? firstId,
    entries: [...listed, ...circle.slice(0, room)]
  }
}

/** At most as many as one exchange has room for: those of listed peers, then others, beginning anywhere. */
const some = <A>({ known, random }: Node, all: ReadonlyArray<A>, id: (one: A) => Id): ReadonlyArray<A> => {
  if (all.length <= maxRecords) return all
  const listed = all.filter((one) => known.isListed(id(one)))
  const others = all.filter((one) => !known.isListed(id(one)))
  const start = Math.floor(random() * others.length)
  return [...listed, ...others.slice(start), ...others.slice(0, start)].slice(0, maxRecords)
}

// -----------------------------------------------------------------------------
// steps
// -----------------------------------------------------------------------------

/** The dialer's first step. */
export const begin = (node: Node, now: number): Step => {
  const digest = digestOf(node, now)
  return { state: { _tag: "AwaitingWants", digest }, send: [digest] }
}

/** The listener's first state. */
export const listening: Step = { state: { _tag: "AwaitingDigest" }, send: [] }

const recordOf = ({ bytes }: AddressRecord): Message => ({ _tag: "Record", bytes })
const end: Message = { _tag: "End" }

/** The listener gets the digest: it asks for what is newer there, and sends what is newer here. */
const answer = (node: Node, digest: Digest, now: number): Step => {
  const own = node.known.entries()
  const named = new Map(digest.entries.map((entry) => [entry.id, entry]))
  const newer = digest.entries.flatMap((entry, place) =>
    entry.isOnOffer && (own.get(entry.id)?.sequence ?? -1) < entry.sequence ? [{ entry, place }] : []
  )
  const wanted = [...some(node, newer, ({ entry }) => entry.id)].sort((a, b) => a.place - b.place)
  const news = [...own].flatMap(([id, record]) => {
    const theirs = named.get(id)
    const isNews = theirs === undefined ? isWithin(digest, id) : theirs.sequence < record.sequence
    return isNews && record.expires > now ? [{ id, record }] : []
  })
  const offered = some(node, news, ({ id }) => id).map(({ record }) => recordOf(record))
  return {
    state: { _tag: "AwaitingWanted", wanted: new Map(wanted.map(({ entry }) => [entry.id, entry])) },
    send: [{ _tag: "Wants", places: wanted.map(({ place }) => place) }, ...offered, end]
  }
}

/** Checks a record that came, and keeps it. One that has expired is not kept, and no fault: clocks differ. */
const take = (
  { decode, known }: Node,
  bytes: Uint8Array,
  isAsked: (id: Id, record: AddressRecord) => boolean,
  now: number
): Result.Result<{ readonly id: Id; readonly record: AddressRecord; readonly verdict: Verdict }, Fault> => {
  const same = known.sameAs(bytes)
  const decoded = same === undefined ? decode(bytes) : Result.succeed(same)
  if (Result.isFailure(decoded)) return fault("BadRecord", decoded.failure.reason.message)
  const record = decoded.success
  const id = idOf(record.publicKey)
  if (!isAsked(id, record))
    return fault("Unasked", `the record of ${formatPublicKey(record.publicKey)} was not asked for`)
  return Result.succeed({ id, record, verdict: record.expires > now ? known.add(record, now) : "older" })
}

/** The dialer gets a record that its digest says it lacks. */
const takeTheirs = (node: Node, state: AwaitingTheirs, bytes: Uint8Array, now: number): Result.Result<Step, Fault> => {
  const { digest, had, named } = state
  if (had.size >= maxRecords) return fault("TooMuch", `it sends more than ${maxRecords} records`)
  const isAsked = (id: Id, { sequence }: AddressRecord): boolean => {
    const own = named.get(id)
    return !had.has(id) && (own === undefined ? isWithin(digest, id) : own.sequence < sequence)
  }
  return Result.map(take(node, bytes, isAsked, now), ({ id, record, verdict }) => ({
    state: { ...state, had: new Set(had).add(id) },
    send: [],
    taken: { record, verdict }
  }))
}

/** The listener gets a record that it has asked for. */
const takeWanted = (
  node: Node,
  wanted: ReadonlyMap<Id, Entry>,
  bytes: Uint8Array,
  now: number
): Result.Result<Step, Fault> => {
  const isAsked = (id: Id, { sequence }: AddressRecord): boolean =>
    (wanted.get(id)?.sequence ?? Number.POSITIVE_INFINITY) <= sequence
  return Result.map(take(node, bytes, isAsked, now), ({ id, record, verdict }) => {
    const rest = new Map(wanted)
    rest.delete(id)
    return { state: { _tag: "AwaitingWanted", wanted: rest }, send: [], taken: { record, verdict } }
  })
}

/** What the dialer was asked for, as far as it can still be handed on. */
const wantedRecords = ({ known }: Node, wanted: ReadonlyArray<Entry>, now: number): ReadonlyArray<Message> => {
  const own = known.entries()
  return wanted.flatMap(({ id }) => {
    const record = own.get(id)
    return record !== undefined && record.expires > now ? [recordOf(record)] : []
  })
}

const askedFor = ({ entries }: Digest, places: ReadonlyArray<number>): Result.Result<ReadonlyArray<Entry>, Fault> => {
  const wanted = places.flatMap((place) => entries[place] ?? [])
  if (wanted.length < places.length) return fault("Malformed", "expected places in the digest")
  return Result.succeed(wanted)
}

/** The next step: a peer's message, at a time in seconds since 1970. A fault ends the exchange. */
export const step = (node: Node, state: State, message: Message, now: number): Result.Result<Step, Fault> => {
  if (state._tag === "AwaitingDigest" && message._tag === "Digest") return Result.succeed(answer(node, message, now))
  if (state._tag === "AwaitingWants" && message._tag === "Wants") {
    const { digest } = state
    const named = new Map(digest.entries.map((entry) => [entry.id, entry]))
    return Result.map(askedFor(digest, message.places), (wanted) => ({
      state: { _tag: "AwaitingTheirs", digest, named, wanted, had: new Set() },
      send: []
    }))
  }
  if (state._tag === "AwaitingTheirs") {
    if (message._tag === "Record") return takeTheirs(node, state, message.bytes, now)
    if (message._tag === "End") {
      const send = [...wantedRecords(node, state.wanted, now), end]
      return Result.succeed({ state: { _tag: "AwaitingGoodbye" }, send })
    }
  }
  if (state._tag === "AwaitingWanted") {
    if (message._tag === "Record") return takeWanted(node, state.wanted, message.bytes, now)
    if (message._tag === "End") return Result.succeed({ state: { _tag: "Finished" }, send: [] })
  }
  return fault("Malformed", `expected ${expected[state._tag]}, not ${message._tag}`)
}

const expected: Readonly<Record<State["_tag"], string>> = {
  AwaitingWants: "Wants",
  AwaitingTheirs: "Record or End",
  AwaitingGoodbye: "the goodbye",
  AwaitingDigest: "Digest",
  AwaitingWanted: "Record or End",
  Finished: "nothing more"
}
