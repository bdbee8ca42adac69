/** Emits an event for each newcomer that was turned away. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Events from "../Events.ts"
import { nobody } from "../guarded.ts"

/** Runs something in the listener's scope. */
export type Fork = (effect: Effect.Effect<void>) => Fiber.Fiber<void>

/** How many events may wait. Beyond that, refusals with the same tag share one event. */
const maxWaiting = 256

/**
 * One fiber emits the events of all newcomers that are refused while it is busy, because a flood of refusals must cost
 * next to nothing.
 */
export class Refusals {
  private waiting: Array<Events.Refused> = []
  private telling = false
  private readonly emit: Events.Sink
  private readonly fork: Fork

  constructor(emit: Events.Sink, fork: Fork) {
    this.emit = emit
    this.fork = fork
  }

  add(refused: Omit<Events.Refused, "count">): void {
    if (this.emit === nobody) return
    const same = this.waiting.length < maxWaiting ? -1 : this.waiting.findIndex(({ tag }) => tag === refused.tag)
    const known = this.waiting[same]
    if (known === undefined) this.waiting.push({ ...refused, count: 1 })
    else this.waiting[same] = { ...known, count: known.count + 1 }
    if (this.telling) return
    this.telling = true
    this.fork(this.tell)
  }

  private readonly tell: Effect.Effect<void> = Effect.suspend(() => {
    const batch = this.waiting
    this.waiting = []
    this.telling = batch.length > 0
    if (!this.telling) return Effect.void
    return Effect.andThen(
      Effect.forEach(batch, (refused) => this.emit(refused), { discard: true }),
      this.tell
    )
  })
}
