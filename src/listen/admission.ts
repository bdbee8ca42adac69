/**
 * Admission: the limits on all connections, on those of each group of sources, and on pending handshakes. Plain
 * synchronous code, because every newcomer of a flood passes through it.
 *
 * When too many handshakes are pending, the newcomer is admitted and a pending one is ended to make room. When the
 * newcomer's own group is at its limit, the one that is ended is of that group. Refusing newcomers instead would lock
 * out every client while silent sockets keep the queue full, or every client behind one address while one of them does.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import type { Capacity } from "../Capacity.ts"
import type { Exceeded, LimitValues } from "../Limits.ts"
import { monotonicMillis } from "../monotonic.ts"
import { Crowd, firstOf, PendingHandshakes } from "./pendingHandshakes.ts"
import { type Group, type Newcomer, Place, Sources } from "./sources.ts"

/** One for each Multiserver: all of its listeners share it. */
export class Admission {
  private readonly limits: LimitValues
  private readonly capacity: Capacity
  private readonly clock: Clock.Clock
  private readonly sources: Sources
  private readonly pending: PendingHandshakes
  /** Newcomers that came for something other than a connection, such as a plain HTTP request. */
  private readonly staying: Crowd
  private readonly anyPending = Latch.makeUnsafe(false)
  /** For each socket that outlives its connection, the function that ends it. The oldest comes first. */
  private readonly lingering = new Set<() => void>()

  constructor(limits: LimitValues, capacity: Capacity, clock: Clock.Clock) {
    this.limits = limits
    this.capacity = capacity
    this.clock = clock
    this.sources = new Sources(limits)
    this.pending = new PendingHandshakes(limits.pendingHandshakes)
    this.staying = new Crowd(limits.pendingHandshakes)
  }

  /** Milliseconds of the monotonic clock. */
  now(): number {
    return monotonicMillis(this.clock)
  }

  /**
   * Gives a place to a newcomer, or answers which limit refuses it. `source` is how its transport identifies it: an IP
   * or a key, or `undefined` when it has none or it is not known yet.
   */
  admit(source: string | undefined, newcomer: Newcomer): Place | Exceeded {
    const now = this.now()
    const groups = this.sources.get(source, now)
    const refusal = this.refusal(groups, now) ?? this.noRoom()
    if (refusal !== undefined) return refusal
    this.makeRoomIn(groups)
    this.makeRoom()
    const place = new Place(groups, newcomer, now)
    this.capacity.take()
    this.sources.enter(groups)
    this.pending.add(place)
    if (this.pending.size === 1) this.anyPending.openUnsafe()
    return place
  }

  /**
   * Counts a newcomer for its source, which is known only now. When that source is refused, the newcomer keeps its
   * place until it leaves.
   */
  move(place: Place, source: string): Exceeded | undefined {
    if (place.gone) return undefined
    const now = this.now()
    const former = place.groups
    const groups = this.sources.get(source, now)
    // It leaves its former groups before the new ones are checked. A group of both sources must not count it twice, nor
    // choose it as the one that makes room.
    this.regroup(place, [])
    const refusal = this.refusal(groups, now)
    if (refusal === undefined) this.makeRoomIn(groups)
    if (!place.gone) this.regroup(place, refusal === undefined ? groups : former)
    return refusal
  }

  private regroup(place: Place, groups: ReadonlyArray<Group>): void {
    this.pending.change(place, () => {
      this.sources.exit(place.groups)
      this.sources.enter(groups)
      place.groups = groups
    })
  }

  /**
   * The newcomer's first message was valid, so it is answered. Answering is what costs, so the newcomer counts for the
   * rate of its sources now.
   */
  answered(place: Place): void {
    if (place.answered) return
    this.sources.spend(place.groups, this.now())
    this.pending.change(place, () => {
      place.answered = true
    })
  }

  /**
   * Whether pending handshakes fill an eighth of their limit: this is a flood, or the start of one. WireGuard uses the
   * same share.
   */
  get crowded(): boolean {
    return this.pending.size * 8 >= this.limits.pendingHandshakes
  }

  /** The newcomer's handshakes are not pending any more: they are done, or there will be none. */
  settle(place: Place): void {
    if (!this.pending.has(place)) return
    this.pending.remove(place)
    if (!place.answered) this.sources.spend(place.groups, this.now())
  }

  /**
   * The newcomer came for something other than a connection. It counts until it leaves. It has proved nothing, so it
   * makes room before any pending handshake does.
   */
  stay(place: Place): void {
    this.settle(place)
    if (!place.gone) this.staying.add(place)
  }

  /** The newcomer is gone. A second call does nothing. */
  leave(place: Place): void {
    if (place.gone) return
    place.gone = true
    const wasPending = this.pending.has(place)
    this.pending.remove(place)
    this.staying.remove(place)
    this.sources.exit(place.groups)
    this.capacity.give()
    // A newcomer that has sent nothing has cost only its place. `hasSpoken` is asked last, so that all counts are right
    // whatever the transport's code does.
    if (wasPending && !place.answered && place.newcomer.hasSpoken()) this.sources.spend(place.groups, this.now())
  }

  /**
   * Counts a socket that outlives its connection, until the function that this returns is called. `end` is called to
   * end the socket at once, when its room is needed.
   */
  linger(end: () => void): () => void {
    const own = () => end()
    this.lingering.add(own)
    this.capacity.take()
    return () => this.lingered(own)
  }

  private lingered(own: () => void): void {
    if (this.lingering.delete(own)) this.capacity.give()
  }

  /** How many groups of sources are in memory. */
  get remembered(): number {
    return this.sources.remembered
  }

  /** Whether another newcomer gets in only when a pending one leaves. */
  private get isCrowdedOut(): boolean {
    return this.capacity.full || this.pending.size >= this.limits.pendingHandshakes
  }

  private noRoom(): Exceeded | undefined {
    const noneLeaves = this.pending.size === 0 && this.lingering.size === 0 && this.staying.all.size === 0
    return this.capacity.full && noneLeaves ? "TooManyConnections" : undefined
  }

  private refusal(groups: ReadonlyArray<Group>, now: number): Exceeded | undefined {
    for (const group of groups) {
      if (this.sources.isFull(group) && this.victimOf(group) === undefined) return "TooManyFromSource"
      if (this.sources.isTooFast(group, now)) return "TooFast"
    }
    return undefined
  }

  /** In each group that is at its limit, ends a newcomer that stays, or else a pending one. */
  private makeRoomIn(groups: ReadonlyArray<Group>): void {
    for (const group of groups) {
      if (this.sources.isFull(group)) this.displace(this.victimOf(group))
    }
  }

  private victimOf(group: Group): Place | undefined {
    return firstOf(this.staying.of(group)) ?? this.pending.victimOf(group)
  }

  /**
   * When there is no room, ends a socket that outlives its connection, or else a newcomer that stays, or else a pending
   * one.
   */
  private makeRoom(): void {
    const [longest] = this.lingering
    if (this.capacity.full && longest !== undefined) {
      this.lingered(longest)
      longest()
    }
    if (this.capacity.full) this.displace(this.staying.victim())
    if (this.isCrowdedOut) this.displace(this.pending.victim())
  }

  private displace(victim: Place | undefined): void {
    if (victim === undefined) return
    this.leave(victim)
    victim.newcomer.end("Displaced")
  }

  /**
   * Ends each newcomer whose handshakes have been pending for too long. All have the same time, so one timer serves
   * all. If ending one of them dies, that is logged and the loop goes on with the next, because that newcomer has left
   * already.
   */
  readonly deadlines: Effect.Effect<never> = Effect.suspend(() => {
    const { oldest } = this.pending
    if (oldest === undefined) {
      this.anyPending.closeUnsafe()
      return this.anyPending.await
    }
    const remaining = oldest.since + Duration.toMillis(this.limits.handshake) - this.now()
    if (remaining > 0) return Effect.sleep(Math.ceil(remaining))
    this.leave(oldest)
    oldest.newcomer.end("TimedOut")
    return Effect.void
  }).pipe(
    Effect.catchDefect((defect) => Effect.logError("ending a newcomer at its deadline failed", Cause.die(defect))),
    Effect.forever({ disableYield: true })
  )
}

/** An admission that watches its deadlines until the scope closes. */
export const make = (limits: LimitValues, capacity: Capacity): Effect.Effect<Admission, never, Scope.Scope> =>
  Effect.gen(function* () {
    const admission = new Admission(limits, capacity, yield* Clock.Clock)
    yield* Effect.forkScoped(admission.deadlines)
    return admission
  })
