/**
 * Who gets in: limits on all connections, on those of each source, and on those whose handshakes are pending. Plain
 * synchronous code, because every newcomer of a flood passes here.
 *
 * When too many are pending, the newcomer gets in and one of the pending makes room. Turning newcomers away would lock
 * everybody out for as long as silent sockets keep the queue full.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type { Capacity } from "../Capacity.ts"
import type { Exceeded, LimitValues } from "../Limits.ts"
import { monotonicMillis } from "../monotonic.ts"
import { PendingHandshakes } from "./pendingHandshakes.ts"
import { type Newcomer, Place, Sources } from "./sources.ts"

/** Of one Multiserver: all of its listeners share it. */
export class Admission {
  private readonly limits: LimitValues
  private readonly capacity: Capacity
  private readonly clock: Clock.Clock
  private readonly sources: Sources
  private readonly pending: PendingHandshakes
  private readonly anyPending = Latch.makeUnsafe(false)
  /** Ends each socket that has outlived its connection, in the order in which they did. */
  private readonly lingering = new Set<() => void>()

  constructor(limits: LimitValues, capacity: Capacity, clock: Clock.Clock, random: Random.Random) {
    this.limits = limits
    this.capacity = capacity
    this.clock = clock
    this.sources = new Sources(limits)
    this.pending = new PendingHandshakes(random)
  }

  /** Milliseconds of the monotonic clock. */
  now(): number {
    return monotonicMillis(this.clock)
  }

  /** A place for a newcomer. `ip` is where it comes from; `undefined` when it has none, or it is not known yet. */
  admit(ip: string | undefined, newcomer: Newcomer): Place | Exceeded {
    const now = this.now()
    const source = this.sources.get(ip, now)
    const refusal = this.sources.refusal(source, now) ?? this.makeRoom()
    if (refusal !== undefined) return refusal
    const place = new Place(source, newcomer, now)
    this.capacity.take()
    this.sources.enter(source)
    this.pending.add(place)
    if (this.pending.size === 1) this.anyPending.openUnsafe()
    return place
  }

  /**
   * It is known now where a newcomer comes from. When that source is refused, the newcomer keeps its place until it
   * leaves.
   */
  move(place: Place, ip: string): Exceeded | undefined {
    const now = this.now()
    const source = this.sources.get(ip, now)
    const refusal = this.sources.refusal(source, now)
    if (refusal !== undefined || place.gone) return refusal
    this.pending.move(place, () => {
      this.sources.exit(place.source)
      this.sources.enter(source)
      place.source = source
    })
    return undefined
  }

  /** Whether the pending are an eighth of what they may be, as in WireGuard: this is a flood, or about to be one. */
  get crowded(): boolean {
    return this.pending.size * 8 >= this.limits.pendingHandshakes
  }

  /** Its handshakes are pending no more: it is through, or will never do any. */
  settle(place: Place): void {
    this.pending.remove(place)
  }

  /** It is gone. A second time does nothing. */
  leave(place: Place): void {
    if (place.gone) return
    place.gone = true
    this.settle(place)
    this.sources.exit(place.source)
    this.capacity.give()
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

  /** How many sources are in memory. */
  get remembered(): number {
    return this.sources.remembered
  }

  /**
   * When it is full, ends a socket whose connection is over, or else one of the pending. When there are none, there is
   * no room.
   */
  private makeRoom(): Exceeded | undefined {
    const [longest] = this.lingering
    if (this.capacity.full && longest !== undefined) {
      this.lingered(longest)
      longest()
    }
    const { full } = this.capacity
    if (!full && this.pending.size < this.limits.pendingHandshakes) return undefined
    const victim = this.pending.victim()
    if (victim === undefined) return full ? "TooManyConnections" : undefined
    this.leave(victim)
    victim.newcomer.end("Displaced")
    return undefined
  }

  /** Ends each newcomer that has been pending for too long. All have the same time, so one timer does for all. */
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
  }).pipe(Effect.forever({ disableYield: true }))
}

/** As long as the scope. */
export const make = (limits: LimitValues, capacity: Capacity): Effect.Effect<Admission, never, Scope.Scope> =>
  Effect.gen(function* () {
    const admission = new Admission(limits, capacity, yield* Clock.Clock, yield* Random.Random)
    yield* Effect.forkScoped(admission.deadlines)
    return admission
  })
