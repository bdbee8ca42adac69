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
 * How a connection went, in a word. `end`: both sides said goodbye. `closed`: this side did. `Defect`: code threw, a
 * protocol's or that of whoever used it. Otherwise the reason for which it failed.
 */
export type Tag = "end" | "closed" | ConnectionReason["_tag"] | Defect["_tag"]

/**
 * How a connection went that its user has broken off: because its code threw, or because it failed or was interrupted.
 */
export const tagOfExit = (exit: Exit.Exit<unknown, unknown>): Tag =>
  Exit.isFailure(exit) && Cause.hasDies(exit.cause) ? "Defect" : "LocallyClosed"

/** Destroys every port of a stack, also when one of them throws. Answers what was thrown. */
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
  /** How many milliseconds it may still take. */
  readonly remaining: Effect.Effect<number>
  /** Whether a peer that still sends is not cut off. */
  readonly outlasts: boolean
}

/**
 * Leaves a stack by its topmost port. A tag at once when nothing had to be waited for, as mostly, because the kernel
 * takes at once what is left. Waits for the kernel and never for the peer's goodbye.
 */
export const part = (top: Port, options: Options): Tag | Effect.Effect<Tag> => {
  let tag: Tag | undefined
  for (let port: Port | undefined = top; port !== undefined; port = port.below) {
    port.end()
    if (port.pending > 0 || readsOn(port, top, options)) return partWaiting(port, top, options, tag)
    tag ??= tagOf(port)
    const broken = close(port, top)
    if (broken !== undefined) return broken === "Defect" ? broken : tag
  }
  return tag ?? "closed"
}

const partWaiting = (from: Port, top: Port, options: Options, known: Tag | undefined): Effect.Effect<Tag> =>
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
const tagOf = ({ ended, failure }: Port): Tag => failure?._tag ?? (ended ? "end" : "closed")

/** Closing would take with it what the peer has yet to read, and the peer has not ended. */
const readsOn = (port: Port, top: Port, { outlasts }: Options): boolean =>
  outlasts && port === top && port.resets === true && !port.ended && port.failure === undefined

/** Whether the kernel got everything in time. */
const drained = (port: Port, millis: number): Effect.Effect<boolean> => {
  if (millis <= 0) return Effect.succeed(false)
  const waited = Effect.callback<void>((resume) => {
    const look = () => {
      if (port.pending === 0 || port.failure !== undefined) resume(Effect.void)
    }
    // Whoever heard from it before, a wrapper for example, may be gone by now.
    port.listen({ readable: () => {}, drained: look })
    look()
  })
  return Effect.map(Effect.timeoutOption(waited, millis), Option.isSome)
}

/**
 * Lets go of a port that is drained. When it is broken, or breaks over that, everything is destroyed, and the answer is
 * why.
 */
const close = (port: Port, top: Port): Tag | undefined => {
  const failure = port.failure ?? defectOfClosing(port)
  if (failure !== undefined) destroyAll(top)
  return failure?._tag
}

const defectOfClosing = (port: Port): Defect | undefined => {
  port.close()
  return port.failure?._tag === "Defect" ? port.failure : undefined
}
