/**
 * Gossip: a source for `Lookup`, made of peers that list each other. In each round a node talks with some of the peers
 * on its list, over a stack of its own. After that, each of the two has the newest records that the other had. So a
 * record that one of them publishes reaches all of them, and no server is needed. The protocol, its limits and how fast
 * it is: docs/lookup-gossip.md.
 *
 * A listed peer can withhold records, and hand on old ones that have not expired. It can't change a record, and it does
 * not learn which keys are looked for.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Address, type AddressError, format } from "./Address.ts"
import { type AddressRecord, records as wireOf } from "./AddressRecord.ts"
import type { Primitives } from "./crypto/Primitives.ts"
import { Events } from "./Events.ts"
import { BadOption, GossipError } from "./gossip/errors.ts"
import { Known } from "./gossip/known.ts"
import { isOpenTo, type Listed, listedPeer } from "./gossip/list.ts"
import { choose, Door, refill } from "./gossip/peers.ts"
import * as Rounds from "./gossip/rounds.ts"
import { serve, type Talk, visit } from "./gossip/talk.ts"
import { emitTo } from "./guarded.ts"
import { formatPublicKey, Identity, type PublicKey } from "./Identity.ts"
import { Limits } from "./Limits.ts"
import type { ListenError } from "./ListenError.ts"
import { type Offer, type Source, SourceError } from "./Lookup.ts"
import { Multiserver, type Target } from "./Multiserver.ts"
import { nowSeconds } from "./sinceEpoch.ts"

export { BadOption, BadPeer, GossipError } from "./gossip/errors.ts"

/**
 * The most peers of a list.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxPeers = 500

/**
 * How a node gossips.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * Where the peers reach this node: `net:0.0.0.0:8010~noise`. Nothing but gossip is spoken there. Without it, the node
   * only dials: then it still hears of everything, and everybody of its records.
   */
  readonly listen?: Target
  /**
   * The addresses of the peers, of each peer one text: `net:192.0.2.1:8010~noise:KEY`. Nobody else may talk, whatever
   * `authorize` of the Multiserver says: a peer has to prove one of these keys. Addresses with `noauth` instead of a
   * key let in everybody whom noauth trusts, such as processes of this user over a unix socket. The node's own address
   * may be on the list, so that all nodes can have the same list. At most `maxPeers`.
   */
  readonly peers: ReadonlyArray<string | Address>
  /** With how many peers of the list each round is. By default 3, at most 16. */
  readonly fanout?: number
  /** The time between rounds, which varies by a quarter. By default 30 seconds, from 4 seconds to one day. */
  readonly interval?: Duration.Input
  /**
   * How long an exchange with one peer may take, the dial included. By default 5 seconds: less than `Lookup` waits for
   * a source, so that a peer that stalls makes no publication fail.
   */
  readonly patience?: Duration.Input
  /**
   * The most records of keys that are not on the list. By default 1,000, which take at most 1 MB; at most 100,000.
   * They never push out the record of a listed peer.
   */
  readonly records?: number
}

const bad = (option: string, detail: string): Result.Result<never, GossipError> =>
  Result.fail(new GossipError({ reason: new BadOption({ option, detail }) }))

const count = (option: string, value: number, most: number): Result.Result<number, GossipError> =>
  Number.isSafeInteger(value) && value >= 1 && value <= most
    ? Result.succeed(value)
    : bad(option, `expected 1 to ${most}, not ${value}`)

/** More exchanges at once would gain nothing: with 3 a round, a record has reached 1,000 nodes after 4 rounds. */
const maxFanout = 16
/** 100 MB. */
const maxRecords = 100_000
/** In milliseconds: one day. */
const longest = 24 * 3600 * 1000

const time = (option: string, value: Duration.Input, least: number): Result.Result<Duration.Duration, GossipError> => {
  const duration = Duration.fromInput(value)
  const millis = duration._tag === "Some" ? Duration.toMillis(duration.value) : Number.NaN
  return millis >= least && millis <= longest
    ? Result.succeed(Duration.millis(millis))
    : bad(option, `expected a time of ${least} ms to one day`)
}

/** The options, checked, without the node itself in the list. */
const check = (own: PublicKey, { fanout = 3, interval = "30 seconds", listen, patience, peers, records }: Options) =>
  Result.gen(function* () {
    if (peers.length > maxPeers) return yield* bad("peers", `${peers.length} peers, of at most ${maxPeers}`)
    const listed = yield* Result.all(peers.map(listedPeer))
    const list = listed.filter(({ key }) => key === undefined || formatPublicKey(key) !== formatPublicKey(own))
    if (list.length === 0) return yield* bad("peers", "there are none beside this node: list at least one")
    return {
      listen,
      list,
      fanout: yield* count("fanout", fanout, maxFanout),
      interval: yield* time("interval", interval, 2 * refill),
      patience: yield* time("patience", patience ?? "5 seconds", 1),
      records: yield* count("records", records ?? 1000, maxRecords)
    }
  })

/** Begins to serve the peers, as long as the scope. */
const listenOn = (target: Target, talk: Omit<Talk, "source">) =>
  Effect.gen(function* () {
    const listener = yield* talk.multiserver.listen(target)
    const closed = listener.addresses().find((address) => !isOpenTo(talk.list, address))
    if (closed !== undefined) {
      const detail = `nobody of the list could come in by ${format(closed)}: take a stack that proves keys`
      return yield* Effect.fromResult(bad("listen", detail))
    }
    const source = `gossip ${listener.addresses().map((address) => format(address))[0] ?? ""}`.trim()
    // It ends with the scope, as the rounds do.
    yield* Effect.forkScoped(Effect.ignore(listener.run((connection) => serve({ ...talk, source }, connection))))
    return source
  })

/** One round: an exchange with each of a few peers, at the same time. */
const roundOf =
  (talk: Talk, fanout: number): Rounds.Round =>
  (reached) =>
    Effect.map(
      Effect.suspend(() =>
        Effect.forEach(
          choose(talk.list, fanout, talk.node.random),
          (peer) => Effect.tap(visit(talk, peer), (fault) => (fault === undefined ? reached : Effect.void)),
          { concurrency: "unbounded" }
        )
      ),
      (all) => {
        const faults = all.filter((fault) => fault !== undefined)
        return { reached: all.length - faults.length, faults }
      }
    )

/** Waits for a record of the key that is newer than the one that is known. */
const arrival = (known: Known, key: PublicKey): Effect.Effect<AddressRecord> =>
  Effect.callback((resume) => {
    const hear = (record: AddressRecord) => {
      if (formatPublicKey(record.publicKey) === formatPublicKey(key)) resume(Effect.succeed(record))
    }
    known.hearers.add(hear)
    return Effect.sync(() => void known.hearers.delete(hear))
  })

const nobody = (source: string, faults: Rounds.Outcome["faults"], what: string): SourceError =>
  new SourceError({ source, detail: `${what}: ${faults.map(({ detail }) => detail).join("; ")}`, isRetryable: true })

/**
 * Gossips as long as the scope, and gives what it hears as a source for `Lookup.layer`. The Multiserver speaks the
 * stacks of `listen` and of the peers, with the same identity.
 *
 * `find` answers from what the node knows. When it knows nothing of the key, it gives what one round with listed peers
 * brings, as soon as it comes, unless one has just ended. `publish` has the record handed on in a round at once. It
 * succeeds when the first peer has it, and fails when none takes it; the record is then handed on in later rounds.
 *
 * @category constructors
 * @since 0.1.0
 */
export const source = (
  options: Options
): Effect.Effect<Source, AddressError | GossipError | ListenError, Multiserver | Identity | Primitives | Scope.Scope> =>
  Effect.gen(function* () {
    const { publicKey } = yield* Identity
    const { fanout, interval, list, listen, patience, records } = yield* Effect.fromResult(check(publicKey, options))
    const random = yield* Random.Random
    const keys = [publicKey, ...list.flatMap(({ key }: Listed) => key ?? [])]
    const known = new Known(keys, records)
    const whole = {
      multiserver: yield* Multiserver,
      list,
      node: { known, decode: (yield* wireOf).decode, random: () => random.nextDoubleUnsafe() },
      door: new Door(),
      patience,
      emit: emitTo(yield* Events, (yield* Limits).close)
    }
    const name = listen === undefined ? "gossip" : yield* listenOn(listen, whole)
    const rounds = yield* Rounds.make(roundOf({ ...whole, source: name }, fanout), interval)

    const offer = ({ bytes }: AddressRecord): Offer => ({ _tag: "Signed", bytes })

    /** What the round gives, beside a record that one of its peers has given already. */
    const rest = Effect.fnUntraced(function* (key: PublicKey, had: AddressRecord | undefined) {
      const { faults, reached } = yield* rounds.recent
      const record = known.get(key)
      if (record !== undefined) return record === had ? [] : [offer(record)]
      if (reached === 0) return yield* nobody(name, faults, "none of the peers that were asked answered")
      return []
    })
    const find = Effect.fnUntraced(function* (key: PublicKey) {
      const before = known.get(key)
      if (before !== undefined && before.expires > (yield* nowSeconds)) return Stream.succeed(offer(before))
      // A peer that stalls holds up the round, but not what another one has given.
      const first = yield* Effect.raceFirst(arrival(known, key), Effect.as(rounds.recent, undefined))
      const later = Stream.fromIterableEffect(rest(key, first))
      return first === undefined ? later : Stream.concat(Stream.succeed(offer(first)), later)
    })
    return {
      name,
      find: (key) => Stream.unwrap(find(key)),
      publish: (record) =>
        Effect.gen(function* () {
          const verdict = known.add(record, yield* nowSeconds)
          if (verdict === "older" || verdict === "conflict") {
            const which = verdict === "older" ? "a newer record" : "another record with the same sequence"
            return yield* new SourceError({ source: name, detail: `${which} of this key is known`, isRetryable: false })
          }
          const { faults, reached } = yield* rounds.next
          if (reached === 0)
            return yield* nobody(name, faults, "no peer took the record yet; later rounds go on with it")
        })
    }
  })
