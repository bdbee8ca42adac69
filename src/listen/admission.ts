/**
 * Who gets in: limits on all connections, on those of each group of sources, and on those whose handshakes are pending.
 * Plain synchronous code, because every newcomer of a flood passes here.
 *
 * When too many are pending, the newcomer gets in and one of the pending makes room: of its own group, when that has
 * all that it may have. Turning newcomers away would lock everybody out for as long as silent sockets keep the queue
 * full, or everybody behind one address for as long as one of them does.
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

/** Of one Multiserver: all of its listeners share it. */
export class Admission {
  private readonly limits: LimitValues
  private readonly capacity: Capacity
  private readonly clock: Clock.Clock
  private readonly sources: Sources
  private readonly pending: PendingHandshakes
  /** Those that are here for something else than a connection. */
  private readonly staying: Crowd
  private readonly anyPending = Latch.makeUnsafe(false)
  /** Ends each socket that has outlived its connection, in the order in which they did. */
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
   * A place for a newcomer. `source` is what its transport names it by: an IP, a key, or `undefined` when it has none,
   * or it is not known yet.
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
   * It is known now where a newcomer comes from. When that source is refused, the newcomer keeps its place until it
   * leaves.
   */
  move(place: Place, source: string): Exceeded | undefined {
    if (place.gone) return undefined
    const now = this.now()
    const former = place.groups
    const groups = this.sources.get(source, now)
    // It leaves its groups before the others are judged. A group that has both of its sources gets no more of it, and
    // it is not the one that makes room for itself.
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

  /** Its first message was valid: from now on it is one of the answered. An answer is what costs, so it counts now. */
  answered(place: Place): void {
    if (place.answered) return
    this.sources.spend(place.groups, this.now())
    this.pending.change(place, () => {
      place.answered = true
    })
  }

  /** Whether the pending are an eighth of what they may be, as in WireGuard: this is a flood, or about to be one. */
  get crowded(): boolean {
    return this.pending.size * 8 >= this.limits.pendingHandshakes
  }

  /** Its handshakes are pending no more: it is through, or will never do any. */
  settle(place: Place): void {
    if (!this.pending.has(place)) return
    this.pending.remove(place)
    if (!place.answered) this.sources.spend(place.groups, this.now())
  }

  /**
   * It is here for something else than a connection, and counts until it leaves. It has proved nothing, so it makes
   * room before any of the pending do.
   */
  stay(place: Place): void {
    this.settle(place)
    if (!place.gone) this.staying.add(place)
  }

  /** It is gone. A second time does nothing. */
  leave(place: Place): void {
    if (place.gone) return
    place.gone = true
    const wasPending = this.pending.has(place)
    this.pending.remove(place)
    this.staying.remove(place)
    this.sources.exit(place.groups)
    this.capacity.give()
    // Who has said nothing has cost nothing but its place. Asked last: what a transport answers holds up no count.
    if (wasPending && !place.answered && place.newcomer.hasSpoken()) this.sources.spend(place.groups, this.now())
  }

  /** A socket outlives its connection. It counts until the function that this gives is called. */
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

  /** Whether nobody else gets in unless one of the pending leaves. */
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

  /** Ends one that stays, or else one of the pending, in each group that has all that it may have. */
  private makeRoomIn(groups: ReadonlyArray<Group>): void {
    for (const group of groups) {
      if (this.sources.isFull(group)) this.displace(this.victimOf(group))
    }
  }

  private victimOf(group: Group): Place | undefined {
    return firstOf(this.staying.of(group)) ?? this.pending.victimOf(group)
  }

  /** When it is full, ends a socket whose connection is over, or else one that stays, or else one of the pending. */
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
   * Ends each newcomer that has been pending for too long. All have the same time, so one timer does for all. If ending
   * one of them dies, that is logged and the loop goes on with the next: the first has left already.
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
    Effect.catchDefect((defect) => Effect.logError("ending a newcomer at its deadline died", Cause.die(defect))),
    Effect.forever({ disableYield: true })
  )
}

/** As long as the scope. */
export const make = (limits: LimitValues, capacity: Capacity): Effect.Effect<Admission, never, Scope.Scope> =>
  Effect.gen(function* () {
    const admission = new Admission(limits, capacity, yield* Clock.Clock)
    yield* Effect.forkScoped(admission.deadlines)
    return admission
  })
