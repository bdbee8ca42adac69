/** A peer in a process of its own, spoken to in JSON lines. */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

const Total = Schema.Struct({ bytes: Schema.Int, sha256: Schema.String })

const Message = Schema.Union([
  Schema.Struct({ event: Schema.Literal("listening"), address: Schema.String }),
  Schema.Struct({ event: Schema.Literal("answering") }),
  Schema.Struct({
    event: Schema.Literal("exchanged"),
    /** The public key that we showed. */
    remote: Schema.NullOr(Schema.String),
    received: Total,
    sent: Total,
    /** Of reading; `null` after a clean end. */
    error: Schema.NullOr(Schema.String)
  }),
  Schema.Struct({ event: Schema.Literal("failed"), error: Schema.String })
])
export type Message = typeof Message.Type

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Message))

const isEvent = <A extends { readonly event: string }, E extends A["event"]>(
  got: A,
  event: E
): got is Extract<A, { readonly event: E }> => got.event === event

/** The next event, which has to be of this kind: one too many is as wrong as one too few. */
export const expectNext = <A extends { readonly event: string }, const E extends A["event"]>(
  events: Queue.Dequeue<A>,
  event: E
): Effect.Effect<Extract<A, { readonly event: E }>> =>
  Effect.flatMap(Queue.take(events), (got) =>
    isEvent(got, event) ? Effect.succeed(got) : Effect.die(new Error(`not ${event}: ${JSON.stringify(got)}`))
  )

export interface Peer {
  readonly tell: (command: object) => Effect.Effect<void>
  readonly next: <const E extends Message["event"]>(event: E) => Effect.Effect<Extract<Message, { readonly event: E }>>
}

/**
 * Starts a script with the Node that runs the tests, for as long as the scope. A peer that dies fails who waits for it.
 */
export const start = (script: URL): Effect.Effect<Peer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const messages = yield* Queue.unbounded<Message>()
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [fileURLToPath(script)])),
      (child) =>
        Effect.callback<void>((resume) => {
          if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
          child.once("exit", () => resume(Effect.void))
          child.kill("SIGKILL")
        })
    )
    let stderr = ""
    child.stderr.on("data", (text) => {
      stderr += text
    })
    child.stdin.on("error", () => {})
    createInterface({ input: child.stdout }).on("line", (line) => Queue.offerUnsafe(messages, decode(line)))
    child.once("close", (code, signal) => {
      Queue.failCauseUnsafe(messages, Cause.die(new Error(`the peer ended: ${code ?? signal}\n${stderr}`)))
    })
    return {
      tell: (command) => Effect.sync(() => void child.stdin.write(`${JSON.stringify(command)}\n`)),
      next: (event) => expectNext(messages, event)
    }
  })
