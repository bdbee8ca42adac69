/** The reading side of a connection: the pulls and borrowers that wait for bytes, and what they get. */

import { isArrayNonEmpty } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import { type ConnectionError, Defect, draining, type PortFailure } from "../ConnectionError.ts"
import { effectOf } from "../effectOf.ts"
import { maxFruitless } from "../fruitless.ts"
import type { Account, Leaving } from "../Link.ts"
import type { Chunks, Port } from "../Port.ts"

/**
 * `draining`: nothing more is taken from the port. Pulls get what was kept, and then fail with
 * `LocallyClosed(draining)`. `shut`: every pull fails with this from now on. `last`: how the connection went, if its
 * stack goes on without it.
 */
type State = "open" | "draining" | { readonly shut: PortFailure; readonly last: Account | undefined }

/**
 * Uses a borrowed chunk at once. If it returns an effect, nothing is read until that effect is done, and the chunk is
 * gone when the effect runs.
 *
 * @category models
 * @since 0.1.0
 */
// biome-ignore lint/suspicious/noConfusingVoidType: most return nothing
export type Use<E, R> = (chunk: Uint8Array) => Effect.Effect<unknown, E, R> | void

type Outcome = Pull.Pull<Chunks, ConnectionError>

/**
 * What a look at the port has found: the outcome of a pull, a function that resumes a borrower which wants a pause, or
 * `used` when the borrower has used chunks up.
 */
type Found = Outcome | (() => void) | "used"

/** A pull or a borrower that waits for bytes. */
interface Waiter {
  readonly resume: (outcome: Outcome) => void
  /**
   * Of a borrower: uses up a chunk where it lies. When it wants a pause, it answers with the function that resumes it.
   */
  readonly use: ((chunk: Uint8Array) => (() => void) | undefined) | undefined
  served: boolean
  /** The next waiter. A linked list, because there is rarely more than one, and an array costs more than the reader. */
  next: Waiter | undefined
}

export class Reader {
  readonly leaving: Leaving
  private state: State = "open"
  private first: Waiter | undefined
  /**
   * Taken from the port and not read yet: what a borrower has not seen so far, or what arrived before draining began or
   * this side gave up.
   */
  private kept: Chunks | undefined
  /** How many of the kept chunks were read already. */
  private keptAt = 0
  /** Whether the kept chunks lie in the port's memory, which is valid only while the port notifies. */
  private areLent = false
  bytes = 0
  /** The port is being looked at, and may call back. */
  private looking = false
  /** It has called back: look again. */
  private again = false

  constructor(leaving: Leaving) {
    this.leaving = leaving
  }

  private get port(): Port {
    return this.leaving.top
  }

  /** Whether nothing more can be read. While a listener drains, that is so even before the peer's end. */
  get finished(): boolean {
    return this.kept === undefined && (this.state !== "open" || this.port.ended)
  }

  // ---- waiting ----

  /**
   * Waits for the next chunks. It registers, then looks, in one synchronous step, so that no notification can come in
   * between.
   */
  wait(resume: Waiter["resume"], use?: Waiter["use"]): Effect.Effect<void> | undefined {
    const waiter: Waiter = { resume, use, served: false, next: undefined }
    this.register(waiter)
    this.advance()
    // The peer's end may have been taken with the last bytes.
    this.leaving.lookForEnd()
    return waiter.served ? undefined : Effect.sync(() => this.forget(waiter))
  }

  private register(waiter: Waiter): void {
    let last = this.first
    while (last?.next !== undefined) last = last.next
    if (last === undefined) this.first = waiter
    else last.next = waiter
  }

  private forget(waiter: Waiter): void {
    waiter.served = true
    if (this.first === waiter) {
      this.first = waiter.next
      return
    }
    for (let before = this.first; before !== undefined; before = before.next) {
      if (before.next === waiter) before.next = waiter.next
    }
  }

  /** Serves the waiters in order, as long as there is something for them. No waiter is resumed anywhere else. */
  advance(): void {
    this.again = true
    if (this.looking) return
    let fruitless = 0
    for (let waiter = this.first; waiter !== undefined; waiter = this.first) {
      const found = this.lookFor(waiter)
      if (found === undefined) {
        if (!this.again) return
        if (++fruitless < maxFruitless) continue
        setTimeout(() => this.advance(), 0)
        return
      }
      fruitless = 0
      if (found === "used") continue
      this.forget(waiter)
      if (typeof found === "function") found()
      else waiter.resume(found)
    }
  }

  // ---- looking ----

  /** What the first waiter gets now. `undefined`: nothing yet. */
  private lookFor(waiter: Waiter): Found | undefined {
    this.looking = true
    this.again = false
    try {
      return waiter.use === undefined ? (this.pulled() ?? this.ending()) : this.usedUp(waiter, waiter.use)
    } catch (cause) {
      // The code of a port or a codec threw.
      this.leaving.giveUp(new Defect({ cause }))
      return this.ending()
    } finally {
      this.looking = false
    }
  }

  /** What a pull gets. */
  private pulled(): Outcome | undefined {
    const chunks = this.releaseKept() ?? this.taken()
    if (chunks === undefined) return undefined
    for (const chunk of chunks) this.bytes += chunk.length
    return Effect.succeed(chunks)
  }

  /** Hands chunk after chunk to a borrower, which goes on waiting unless it wants a pause. */
  private usedUp(waiter: Waiter, use: NonNullable<Waiter["use"]>): Found | undefined {
    if (this.kept === undefined) this.fetch()
    if (this.kept === undefined) return this.ending()
    for (let chunk = this.nextKept(); chunk !== undefined; chunk = this.nextKept()) {
      this.bytes += chunk.length
      const pause = use(chunk)
      if (pause === undefined && !waiter.served && !this.isShut) continue
      this.ownKept()
      return pause ?? "used"
    }
    return "used"
  }

  /**
   * Moves what the port has to `kept` before a borrower sees the first chunk of it. The borrower's callback may drain
   * the connection or take it apart, and the rest must not be lost then.
   */
  private fetch(): void {
    const lent = this.state === "open" ? this.port.borrow?.() : undefined
    this.kept = lent ?? this.taken()
    this.keptAt = 0
    this.areLent = lent !== undefined
  }

  private nextKept(): Uint8Array | undefined {
    const { kept, keptAt } = this
    if (kept === undefined) return undefined
    this.keptAt = keptAt + 1
    if (this.keptAt === kept.length) this.kept = undefined
    return kept[keptAt]
  }

  private taken(): Chunks | undefined {
    return this.state === "open" ? this.port.take() : undefined
  }

  /**
   * Takes out all unread kept chunks. The array is cut only here, because a borrower may pause at each of many chunks.
   */
  private releaseKept(): Chunks | undefined {
    this.ownKept()
    const { kept, keptAt } = this
    this.kept = undefined
    if (kept === undefined || keptAt === 0) return kept
    const rest = kept.slice(keptAt)
    return isArrayNonEmpty(rest) ? rest : undefined
  }

  /** Copies kept chunks that lie in the port's memory, which is valid only until its notification returns. */
  private ownKept(): void {
    if (!this.areLent) return
    this.areLent = false
    const copies = this.kept?.slice(this.keptAt).map((chunk) => new Uint8Array(chunk)) ?? []
    this.kept = isArrayNonEmpty(copies) ? copies : undefined
    this.keptAt = 0
  }

  get isShut(): boolean {
    return typeof this.state === "object"
  }

  /** What a pull ends with when there is nothing more to take. */
  private ending(): Outcome | undefined {
    const { leaving, state } = this
    if (typeof state === "object") return leaving.failing(state.shut)
    if (this.port.ended) {
      leaving.lookForEnd()
      return Cause.done()
    }
    const { failure } = leaving
    if (failure !== undefined) return leaving.failing(failure)
    return state === "draining" ? leaving.failing(draining) : undefined
  }

  // ---- borrowing ----

  /** Hands each chunk to `use`, which borrows it, until the clean end. */
  forEachChunk<E, R>(use: Use<E, R>): Effect.Effect<void, ConnectionError | E, R> {
    return Effect.callback<void, ConnectionError | E, R>((resume) => {
      const each = (chunk: Uint8Array) => {
        const pause = attempt(() => use(chunk))
        return pause === undefined
          ? undefined
          : () => resume(Effect.flatMap(effectOf("the callback of forEachChunk", pause), () => this.forEachChunk(use)))
      }
      return this.wait((ended) => resume(Effect.catchIf(Effect.asVoid(ended), Cause.isDone, () => Effect.void)), each)
    })
  }

  // ---- leaving ----

  /** Takes what has arrived by now out of the port, to be read later. */
  hold(): void {
    if (this.state !== "open") return
    const all = [...(this.releaseKept() ?? []), ...(this.takeSafely() ?? [])]
    this.kept = isArrayNonEmpty(all) ? all : undefined
    this.keptAt = 0
  }

  /** What has arrived by now can still be read. What comes later is never read. */
  drain(): void {
    if (this.state !== "open") return
    this.hold()
    this.state = "draining"
    this.advance()
  }

  private takeSafely(): Chunks | undefined {
    const { looking } = this
    this.looking = true
    try {
      return this.port.take()
    } catch (cause) {
      this.leaving.giveUp(new Defect({ cause }))
      return undefined
    } finally {
      // A borrower's callback may have called `drain` while the port is being looked at.
      this.looking = looking
    }
  }

  /** Hands over what was taken from the port and not read. */
  release(): ReadonlyArray<Uint8Array> {
    return this.releaseKept() ?? []
  }

  /** Succeeds when nothing can be read or written any more. Its stack may belong to another connection by then. */
  closed(): Effect.Effect<Account> {
    const last = typeof this.state === "object" ? this.state.last : undefined
    return last === undefined ? this.leaving.over() : Effect.succeed(last)
  }

  shut(failure: PortFailure, last?: Account): void {
    if (typeof this.state === "object") return
    this.state = { shut: failure, last }
    this.kept = undefined
    this.advance()
  }
}

/** An exception of a callback becomes a defect of its own fiber. It must not reach the socket that is being read. */
const attempt = <A>(run: () => A): A | Effect.Effect<never> => {
  try {
    return run()
  } catch (defect) {
    return Effect.die(defect)
  }
}
