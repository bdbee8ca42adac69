/** An exchange over a connection: the state machine of `exchange.ts`, with what it reads and writes. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Connection } from "../Connection.ts"
import { nowSeconds } from "../sinceEpoch.ts"
import { type Node, type State, type Step, step } from "./exchange.ts"
import type { Fault } from "./fault.ts"
import * as Wire from "./wire.ts"

const disconnected = (detail: string): Fault => ({ _tag: "Disconnected", detail })

/**
 * Talks with the peer from this step on, until the exchange is over: for a dialer, that is the goodbye by which the
 * listener says that it has taken everything. Each record that comes goes to `onTaken`.
 */
export const converse = Effect.fnUntraced(function* (
  node: Node,
  connection: Connection,
  first: Step,
  onTaken: (taken: NonNullable<Step["taken"]>) => Effect.Effect<void>
) {
  const frames = new Wire.Frames()
  let state: State = first.state

  const send = (messages: Step["send"]) =>
    messages.length === 0
      ? Effect.void
      : Effect.mapError(connection.write(Wire.write(messages)), ({ message }) => disconnected(message))

  /** What the frames of a chunk lead to. They are all read before anything is sent. */
  const read = (chunk: Uint8Array, now: number, steps: Array<Step>): Fault | undefined =>
    frames.read(chunk, (frame) => {
      const next = Result.flatMap(Wire.read(frame), (message) => step(node, state, message, now))
      if (Result.isFailure(next)) return next.failure
      state = next.success.state
      steps.push(next.success)
      return undefined
    })

  yield* send(first.send)
  while (state._tag !== "Finished") {
    const chunks = yield* connection.pull.pipe(
      Effect.catchIf(Cause.isDone, () => Effect.undefined),
      Effect.mapError((error) => disconnected(error.message))
    )
    if (chunks === undefined) {
      if (state._tag === "AwaitingGoodbye") return
      return yield* Effect.fail(disconnected(`it said goodbye while it was in ${state._tag}`))
    }
    const now = yield* nowSeconds
    for (const chunk of chunks) {
      const steps: Array<Step> = []
      const found = read(chunk, now, steps)
      for (const { taken } of steps) if (taken !== undefined) yield* onTaken(taken)
      if (found !== undefined) return yield* Effect.fail(found)
      yield* send(steps.flatMap((each) => each.send))
      if (steps.some(({ state }) => state._tag === "AwaitingGoodbye")) {
        yield* Effect.mapError(connection.end, ({ message }) => disconnected(message))
      }
    }
  }
})
