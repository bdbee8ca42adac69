/** A worker process, as the parent has it. */
import cluster from "node:cluster"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import { envelope, variable } from "../workerChannel.ts"
import { encodeToWorker, type FromWorker, fromWorker, type ToWorker } from "./messages.ts"

/** How a process has ended. */
export interface Ended {
  readonly code: number | null
  readonly signal: string | null
}

export interface Forked {
  readonly pid: number
  /** What it says. The queue ends after the process has, and after all that it has said. */
  readonly messages: Queue.Dequeue<FromWorker, Cause.Done>
  readonly send: (message: ToWorker) => void
  readonly kill: () => void
  /** How it has ended, once it has. */
  readonly ended: () => Ended
}

/** Tells Node how to start workers. Of several scheduling policies that a program sets, Node keeps the first. */
export const setup = Effect.sync(() => {
  // With SCHED_RR, the parent would accept each connection and hand it over, which takes it 0.15 ms.
  cluster.schedulingPolicy = cluster.SCHED_NONE
  cluster.setupPrimary({ stdio: ["ignore", "inherit", "inherit", "ipc"] })
})

/** A process that could not be started. */
const none: Effect.Effect<Forked> = Effect.sync(() => {
  const messages = Effect.runSync(Queue.unbounded<FromWorker, Cause.Done>())
  Queue.endUnsafe(messages)
  return { pid: 0, messages, send: () => {}, kill: () => {}, ended: () => ({ code: null, signal: null }) }
})

const forked: Effect.Effect<Forked> = Effect.sync(() => {
  const messages = Effect.runSync(Queue.unbounded<FromWorker, Cause.Done>())
  const worker = cluster.fork({ [variable]: String(process.pid) })
  let ended: Ended = { code: null, signal: null }
  // The channel may still hold messages when the process has ended.
  const missing = new Set(["exit", "disconnect"])
  const over = (what: string) => {
    missing.delete(what)
    if (missing.size === 0) Queue.endUnsafe(messages)
  }
  worker.on("message", (raw: unknown) => {
    const message = fromWorker(raw)
    if (Option.isSome(message)) Queue.offerUnsafe(messages, message.value)
  })
  worker.process.on("exit", (code, signal) => {
    ended = { code, signal }
    over("exit")
  })
  worker.process.on("disconnect", () => over("disconnect"))
  worker.on("error", () => {
    // A process that could not be started neither exits nor disconnects.
    if (worker.process.pid === undefined) Queue.endUnsafe(messages)
  })
  return {
    pid: worker.process.pid ?? 0,
    messages,
    send: (message) => {
      if (worker.isConnected()) worker.send({ [envelope]: encodeToWorker(message) }, undefined, () => {})
    },
    kill: () => void worker.process.kill("SIGKILL"),
    ended: () => ended
  }
})

/**
 * Starts a process with the arguments of this one. Node reports some failures to do so, and throws others, such as a
 * lack of memory: none of them may end the other workers.
 */
export const fork: Effect.Effect<Forked> = Effect.catchDefect(forked, (error) =>
  Effect.andThen(Effect.logError("a worker process could not be started", error), none)
)
