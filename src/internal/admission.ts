/**
 * Who gets in: how many there are in all, of each source, and on their way through their handshakes. Plain synchronous code, because
 * each newcomer passes here, a flood of them too.
 *
 * When too many are pending, the newcomer gets in and one of those makes room: turning newcomers away would lock out everybody for
 * as long as silent sockets keep the queue full.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type { LimitValues } from "../Limits.ts"
import { sourceKey } from "./sourceKey.ts"

/** Why a newcomer is turned away. */
export type Refusal = "TooManyConnections" | "TooManyFromSource" | "TooFast"

/** What becomes of one that is pending. */
export interface Pending {
  /** Whether it has been answered, as nobody is before its first valid message. */
  readonly answered: () => boolean
  /** Ends it, now. */
  readonly end: (why: "Displaced" | "TimedOut") => void
}

/** How many sources without a connection are remembered: far more than new ones of 20 a second each, in some 4 MiB. */
const maxResting = 16_384
/** How many of the sources that hold as many as any are looked into for one that is silent. */
const tries = 8

// -----------------------------------------------------------------------------
// lists from which any item is taken in constant time
// -----------------------------------------------------------------------------

interface Listed {
  at: number
}

const put = <A extends Listed>(list: Array<A>, item: A): void => {
  item.at = list.length
  list.push(item)
}

const drop = <A extends Listed>(list: Array<A>, item: A): void => {
  const last = list.pop()
  if (last === undefined || last === item) return
  last.at = item.at
  list[item.at] = last
}

// -----------------------------------------------------------------------------
// sources
// -----------------------------------------------------------------------------

/** Where connections come from. */
class Source implements Listed {
  at = 0
  open = 0
  readonly key: string
  readonly silent: Array<Place> = []
  readonly answered: Array<Place> = []
  /** How many may come now, as of `since`. */
  tokens: number
  since: number

  constructor(key: string, tokens: number, since: number) {
    this.key = key
    this.tokens = tokens
    this.since = since
  }

  get pending(): number {
    return this.silent.length + this.answered.length
  }
}

/** One that has come, until it is gone. */
export class Place implements Listed {
  at = 0
  /** When it came, by `now`. */
  readonly since: number
  readonly pending: Pending
  source: Source
  /** The list of the pending that it is in. */
  list: Array<Place> | undefined
  gone = false

  constructor(source: Source, pending: Pending, since: number) {
    this.source = source
    this.pending = pending
    this.since = since
  }
}

/** One that this side makes. */
export interface Dialed {
  readonly begin: () => void
  /** Before it has begun, it never will. Again is nothing. */
  readonly left: () => void
}

// -----------------------------------------------------------------------------
// admission
// -----------------------------------------------------------------------------

/** Of one Multiserver. */
export class Admission {
  private readonly limits: LimitValues
  private readonly clock: Clock.Clock
  private readonly random: Random.Random
  private readonly handshakeMillis: number
  private readonly sources = new Map<string, Source>()
  /** Those of `sources` that have no connection, the longest without one first. */
  private readonly resting = new Set<Source>()
  /** The sources by how many pending ones they have. */
  private readonly levels: Array<Array<Source> | undefined> = []
  private top = 0
  /** All that are pending, the oldest first. */
  private readonly queue = new Set<Place>()
  private readonly some = Latch.makeUnsafe(false)
  private open = 0

  constructor(limits: LimitValues, clock: Clock.Clock, random: Random.Random) {
    this.limits = limits
    this.clock = clock
    this.random = random
    this.handshakeMillis = Duration.toMillis(limits.handshake)
  }

  /** Milliseconds of a clock that nobody sets. */
  now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1e6
  }

  // ---- coming and going ----

  /** A place for a newcomer. `source` is its IP; `undefined` where there is none, or it is not known yet. */
  admit(ip: string | undefined, pending: Pending): Place | Refusal {
    const now = this.now()
    const source = this.sourceOf(ip, now)
    const refusal = this.refusal(source, now) ?? this.makeRoom()
    if (refusal !== undefined) return refusal
    const place = new Place(source, pending, now)
    this.open++
    this.enter(source)
    this.list(place, source.silent)
    this.queue.add(place)
    if (this.queue.size === 1) this.some.openUnsafe()
    return place
  }

  /** Where it comes from is known now. When that source may not have another one, it keeps its place until it leaves. */
  move(place: Place, ip: string): Refusal | undefined {
    const now = this.now()
    const source = this.sourceOf(ip, now)
    const refusal = this.refusal(source, now)
    if (refusal !== undefined || place.gone) return refusal
    const silent = place.list === place.source.silent
    this.unlist(place)
    this.exit(place.source)
    this.enter(source)
    place.source = source
    this.list(place, silent ? source.silent : source.answered)
    return undefined
  }

  /** Whether an eighth of those that may be are pending: a flood, or about to be one. As WireGuard has it. */
  get crowded(): boolean {
    return this.queue.size * 8 >= this.limits.pendingHandshakes
  }

  /** It is pending no more: it got through, or was never going to. */
  settle(place: Place): void {
    this.queue.delete(place)
    this.unlist(place)
  }

  /** It is gone. Again is nothing. */
  leave(place: Place): void {
    if (place.gone) return
    place.gone = true
    this.settle(place)
    this.exit(place.source)
    this.open--
  }

  /** One that this side makes. It counts from `begin` until it has left: nobody refuses it, and newcomers have the less room. */
  dial(): Dialed {
    let state: "before" | "open" | "left" = "before"
    return {
      begin: () => {
        if (state !== "before") return
        state = "open"
        this.open++
      },
      left: () => {
        if (state === "open") this.open--
        state = "left"
      }
    }
  }

  // ---- sources ----

  /** How many sources are in memory. */
  get remembered(): number {
    return this.sources.size
  }

  private sourceOf(ip: string | undefined, now: number): Source {
    this.forget(now)
    const key = sourceKey(ip, this.limits.exemptLoopback)
    const known = this.sources.get(key)
    if (known !== undefined) {
      if (this.resting.delete(known)) this.resting.add(known)
      return known
    }
    const source = new Source(key, this.limits.sourceRate, now)
    this.sources.set(key, source)
    this.resting.add(source)
    return source
  }

  /** Forgets who has been away long enough to be as good as new, two at a time: more than come. */
  private forget(now: number): void {
    let most = 2
    for (const source of this.resting) {
      if (most-- === 0 || (now - source.since < 1000 && this.resting.size <= maxResting)) return
      this.resting.delete(source)
      this.sources.delete(source.key)
    }
  }

  private enter(source: Source): void {
    if (source.open++ === 0) this.resting.delete(source)
  }

  private exit(source: Source): void {
    if (--source.open === 0) this.resting.add(source)
  }

  /** Takes a token, unless it may not come at all. */
  private refusal(source: Source, now: number): Refusal | undefined {
    if (source.key === "") return undefined
    const { sourceConnections, sourceRate } = this.limits
    if (source.open >= sourceConnections) return "TooManyFromSource"
    source.tokens = Math.min(sourceRate, source.tokens + ((now - source.since) * sourceRate) / 1000)
    source.since = now
    if (source.tokens < 1) return "TooFast"
    source.tokens--
    return undefined
  }

  // ---- pending ----

  private list(place: Place, list: Array<Place>): void {
    const { source } = place
    const before = source.pending
    place.list = list
    put(list, place)
    this.level(source, before)
  }

  private unlist(place: Place): void {
    if (place.list === undefined) return
    const before = place.source.pending
    drop(place.list, place)
    place.list = undefined
    this.level(place.source, before)
  }

  /** Puts a source where it belongs by how many pending ones it has. */
  private level(source: Source, before: number): void {
    const { pending } = source
    if (before > 0) drop(this.levels[before] ?? [], source)
    if (pending > 0) {
      const level = this.levels[pending] ?? []
      this.levels[pending] = level
      put(level, source)
    }
    this.top = Math.max(this.top, pending)
    while (this.top > 0 && (this.levels[this.top]?.length ?? 0) === 0) this.top--
  }

  /** When it is full, one of those that are pending is ended; when nobody is pending, there is no room. */
  private makeRoom(): Refusal | undefined {
    const { connections, pendingHandshakes } = this.limits
    const full = this.open >= connections
    if (!full && this.queue.size < pendingHandshakes) return undefined
    const victim = this.victim()
    if (victim === undefined) return full ? "TooManyConnections" : undefined
    this.leave(victim)
    victim.pending.end("Displaced")
    return undefined
  }

  /**
   * Of the source that holds most, one that has not been answered; otherwise any. At random, so that who takes its time can't be
   * pushed out on purpose.
   */
  private victim(): Place | undefined {
    const largest = this.levels[this.top] ?? []
    let source: Source | undefined
    for (let i = 0; i < Math.min(tries, largest.length); i++) {
      source = this.any(largest)
      const silent = source && this.silent(source)
      if (silent !== undefined) return silent
    }
    return source && this.any(source.answered)
  }

  /** Those found to have been answered since are put aside, each once. */
  private silent(source: Source): Place | undefined {
    for (;;) {
      const place = this.any(source.silent)
      if (place === undefined || !place.pending.answered()) return place
      drop(source.silent, place)
      put(source.answered, place)
      place.list = source.answered
    }
  }

  private any<A>(list: ReadonlyArray<A>): A | undefined {
    return list[Math.floor(this.random.nextDoubleUnsafe() * list.length)]
  }

  // ---- deadline ----

  /** Ends each that has been pending for too long: one timer for all, since all have the same time. */
  readonly deadlines: Effect.Effect<never> = Effect.suspend(() => {
    const [oldest] = this.queue
    if (oldest === undefined) {
      this.some.closeUnsafe()
      return this.some.await
    }
    const left = oldest.since + this.handshakeMillis - this.now()
    if (left > 0) return Effect.sleep(Math.ceil(left))
    this.leave(oldest)
    oldest.pending.end("TimedOut")
    return Effect.void
  }).pipe(Effect.forever({ disableYield: true }))
}

/** As long as the scope. `room` is how many connections the system has room for. */
export const make = (limits: LimitValues, room: number): Effect.Effect<Admission, never, Scope.Scope> =>
  Effect.gen(function* () {
    const connections = Math.min(limits.connections, room)
    const admission = new Admission({ ...limits, connections }, yield* Clock.Clock, yield* Random.Random)
    yield* Effect.forkScoped(admission.deadlines)
    return admission
  })
