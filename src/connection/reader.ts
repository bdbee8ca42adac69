/** The reading side of a connection: who waits for bytes, and what they get. */

import { isArrayNonEmpty } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import { type ConnectionError, Defect, draining, type PortFailure } from "../ConnectionError.ts"
import type { Leaving } from "../Link.ts"
import type { Chunks, Port } from "../Port.ts"

/**
 * `draining`: nothing is taken from the port any more, and after what was kept a pull fails with `LocallyClosed(draining)`. `shut`: each
 * pull fails so, for good.
 */
type State = "open" | "draining" | { readonly shut: PortFailure }

/** What is done with a borrowed chunk, at once. An effect that it returns is waited for; the chunk is no longer there then. */
// biome-ignore lint/suspicious/noConfusingVoidType: most return nothing
export type Use<E, R> = (chunk: Uint8Array) => Effect.Effect<unknown, E, R> | void

type Outcome = Pull.Pull<Chunks, ConnectionError>

/** Someone who waits for bytes. */
interface Waiter {
  readonly resume: (outcome: Outcome) => void
  /** Uses up chunks where they lie, instead of being resumed with them. Answers with what resumes it when it wants a pause. */
  readonly use: ((chunks: Chunks, areLent: boolean) => (() => void) | undefined) | undefined
  served: boolean
  /** The next waiter. A linked list, because there is rarely more than one, and an array costs more than the reader. */
  next: Waiter | undefined
}

export class Reader {
  readonly leaving: Leaving
  private state: State = "open"
  private first: Waiter | undefined
  /** Taken from the port and not read yet: what a borrower that paused has not seen, or what came before draining began. */
  private kept: Array<Uint8Array> | undefined
  bytes = 0
  /** The port is being looked at, and may call back. */
  private looking = false
  /** It has called back, or a borrower is not done: look again. */
  private again = false

  constructor(leaving: Leaving) {
    this.leaving = leaving
  }

  private get port(): Port {
    return this.leaving.top
  }

  /** Nothing more can be read. While a listener drains, that is so before the peer's end. */
  get finished(): boolean {
    return this.kept === undefined && (this.state !== "open" || this.port.ended)
  }

  // ---- waiting ----

  /** Waits for the next chunks. It registers, then looks, in one synchronous step, so that no notification can come in between. */
  wait(resume: Waiter["resume"], use?: Waiter["use"]): Effect.Effect<void> | undefined {
    const waiter: Waiter = { resume, use, served: false, next: undefined }
    this.register(waiter)
    this.advance()
    // It may have taken the peer's end with the last bytes.
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

  /** Serves those who wait, the first first, as long as there is something for them. Nobody is resumed anywhere else. */
  advance(): void {
    this.again = true
    if (this.looking) return
    for (let waiter = this.first; waiter !== undefined; waiter = this.first) {
      const outcome = this.lookFor(waiter)
      if (outcome !== undefined) {
        this.forget(waiter)
        if (typeof outcome === "function") outcome()
        else waiter.resume(outcome)
      } else if (!this.again) return
    }
  }

  // ---- looking ----

  /** What the first waiter gets now. `undefined`: nothing yet. */
  private lookFor({ use }: Waiter): Outcome | (() => void) | undefined {
    this.looking = true
    this.again = false
    try {
      const lent = use === undefined ? undefined : this.borrow()
      if (lent !== undefined) return this.used(use, lent, true)
      const chunks = this.next()
      return chunks === undefined ? this.ending() : this.used(use, chunks, false)
    } catch (cause) {
      // The code of a port or a codec threw.
      this.leaving.giveUp(new Defect({ cause }))
      return this.ending()
    } finally {
      this.looking = false
    }
  }

  private used(use: Waiter["use"], chunks: Chunks, areLent: boolean): Outcome | (() => void) | undefined {
    if (use === undefined) {
      for (const chunk of chunks) this.bytes += chunk.length
      return Effect.succeed(chunks)
    }
    this.again = true
    return use(chunks, areLent)
  }

  private borrow(): Chunks | undefined {
    return this.state === "open" && this.kept === undefined ? this.port.borrow?.() : undefined
  }

  private next(): Chunks | undefined {
    if (typeof this.state === "object") return undefined
    const { kept } = this
    if (kept === undefined || !isArrayNonEmpty(kept)) return this.state === "open" ? this.port.take() : undefined
    this.kept = undefined
    return kept
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
      const each = (chunks: Chunks, areLent: boolean) => {
        for (const [i, chunk] of chunks.entries()) {
          this.bytes += chunk.length
          const pause = attempt(() => use(chunk))
          if (pause === undefined) continue
          this.keep(chunks.slice(i + 1), areLent)
          return () => resume(Effect.flatMap(pause, () => this.forEachChunk(use)))
        }
        return undefined
      }
      return this.wait((ended) => resume(Effect.catchIf(Effect.asVoid(ended), Cause.isDone, () => Effect.void)), each)
    })
  }

  /** For who reads next. */
  private keep(chunks: ReadonlyArray<Uint8Array>, areLent: boolean): void {
    if (chunks.length === 0) return
    const own = areLent ? chunks.map((chunk) => new Uint8Array(chunk)) : chunks
    this.kept = [...own, ...(this.kept ?? [])]
  }

  // ---- leaving ----

  /** What has arrived by now can still be read; what comes later is for nobody. */
  drain(): void {
    if (this.state !== "open") return
    const arrived = this.takeSafely()
    if (arrived !== undefined) this.kept = [...(this.kept ?? []), ...arrived]
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
      // A borrower's callback may be what drains.
      this.looking = looking
    }
  }

  /** Hands over what was taken from the port and not read. */
  release(): ReadonlyArray<Uint8Array> {
    const { kept } = this
    this.kept = undefined
    return kept ?? []
  }

  shut(failure: PortFailure): void {
    if (typeof this.state === "object") return
    this.state = { shut: failure }
    this.kept = undefined
    this.advance()
  }
}

/** What a callback throws is its author's: it must not reach the socket that is being read. */
const attempt = <A>(run: () => A): A | Effect.Effect<never> => {
  try {
    return run()
  } catch (defect) {
    return Effect.die(defect)
  }
}
