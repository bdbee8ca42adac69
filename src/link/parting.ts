/**
 * How the ports of a stack are left after success: each is ended, drained and closed, the upper one before the one that
 * it stands on.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { type ConnectionReason, Defect } from "../ConnectionError.ts"
import type { Port } from "../Port.ts"
import { lookMillis, readOn } from "./readOn.ts"

/**
 * How a connection went, in one word. `end`: both sides said goodbye. `closed`: only this side did. `LocallyClosed`:
 * this side broke it off. `Defect`: code threw, a protocol's or the user's. Any other tag is that of its failure.
 *
 * @category models
 * @since 0.1.0
 */
export type AccountTag = "end" | "closed" | ConnectionReason["_tag"] | Defect["_tag"]

/** The tag of a connection that its user broke off: `Defect` when the user's code threw, otherwise `LocallyClosed`. */
export const tagOfExit = (exit: Exit.Exit<unknown, unknown>): AccountTag =>
  Exit.isFailure(exit) && Cause.hasDies(exit.cause) ? "Defect" : "LocallyClosed"

/** Destroys every port of a stack, even when one of them throws. Answers the first exception. */
export const destroyAll = (top: Port): Defect | undefined => {
  let defect: Defect | undefined
  for (let port: Port | undefined = top; port !== undefined; port = port.below) {
    try {
      port.destroy()
    } catch (cause) {
      defect ??= new Defect({ cause })
    }
  }
  return defect
}

export interface Options {
  /** How many milliseconds leaving may still take. */
  readonly remaining: Effect.Effect<number>
  /** Whether a peer that still sends is not cut off. */
  readonly outlasts: boolean
}

/**
 * Leaves a stack from its topmost port down. Usually the kernel takes what is left at once, and the answer is a tag.
 * Otherwise it is an effect, which waits for the kernel and never for the peer's goodbye.
 */
export const part = (top: Port, options: Options): AccountTag | Effect.Effect<AccountTag> => {
  let tag: AccountTag | undefined
  for (let port: Port | undefined = top; port !== undefined; port = port.below) {
    port.end()
    if (port.pending > 0 || readsOn(port, top, options)) return partWaiting(port, top, options, tag)
    tag ??= tagOf(port)
    const broken = close(port, top)
    if (broken !== undefined) return broken === "Defect" ? broken : tag
  }
  return tag ?? "closed"
}

const partWaiting = (
  from: Port,
  top: Port,
  options: Options,
  known: AccountTag | undefined
): Effect.Effect<AccountTag> =>
  Effect.gen(function* () {
    let tag = known
    for (let port: Port | undefined = from; port !== undefined; port = port.below) {
      port.end()
      if (port.pending > 0 && !(yield* drained(port, yield* options.remaining))) {
        destroyAll(top)
        return "TimedOut"
      }
      if (readsOn(port, top, options)) {
        const millis = yield* options.remaining
        yield* readOn(port, { first: lookMillis, more: millis, altogether: millis })
      }
      tag ??= tagOf(port)
      const broken = close(port, top)
      if (broken !== undefined) return broken === "Defect" ? broken : tag
    }
    return tag ?? "closed"
  })

/** The topmost port decides. A lower port that fails afterwards does not change it. */
const tagOf = ({ ended, failure }: Port): AccountTag => failure?._tag ?? (ended ? "end" : "closed")

/** Whether to read on first: the peer has not ended, and closing would cost it what it has yet to read. */
const readsOn = (port: Port, top: Port, { outlasts }: Options): boolean =>
  outlasts && port === top && port.resets === true && !port.ended && port.failure === undefined

/** Whether the kernel got everything in time. */
const drained = (port: Port, millis: number): Effect.Effect<boolean> => {
  if (millis <= 0) return Effect.succeed(false)
  const waited = Effect.callback<void>((resume) => {
    const look = () => {
      if (port.pending === 0 || port.failure !== undefined) resume(Effect.void)
    }
    // The former listener, such as a wrapper's, may be gone by now.
    port.listen({ readable: () => {}, drained: look })
    look()
  })
  return Effect.map(Effect.timeoutOption(waited, millis), Option.isSome)
}

/**
 * Closes a drained port. If the port has failed, or fails over that, destroys the whole stack and answers the tag of
 * the failure.
 */
const close = (port: Port, top: Port): AccountTag | undefined => {
  const failure = port.failure ?? defectOfClosing(port)
  if (failure !== undefined) destroyAll(top)
  return failure?._tag
}

const defectOfClosing = (port: Port): Defect | undefined => {
  port.close()
  return port.failure?._tag === "Defect" ? port.failure : undefined
}
