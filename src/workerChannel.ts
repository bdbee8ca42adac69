/** The channel from a worker process to the process that has started it. */
import * as Effect from "effect/Effect"

/** The variable that the parent sets for its workers: the number of its own process. */
export const variable = "EFFECT_MULTISERVER_WORKER_OF"

/**
 * Whether this process is a worker that `Workers.launch` has started. A child process of a worker is none.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isWorker = (): boolean => process.connected === true && process.env[variable] === String(process.ppid)

/** The property that holds our messages: programs may send messages of their own through the same channel. */
export const envelope = "effect-multiserver"

/** Sends a message to the parent, and calls back when the system has taken it, or when the parent is gone. */
export const post = (message: unknown, done: () => void): void => {
  if (process.send === undefined || process.connected !== true) done()
  else process.send({ [envelope]: message }, undefined, undefined, done)
}

/** Sends a message to the parent. Succeeds when the system has taken it, or when the parent is gone. */
export const send = (message: unknown): Effect.Effect<void> =>
  Effect.callback((resume) => post(message, () => resume(Effect.void)))
