/** A peer in a process of its own, spoken to in JSON lines. */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { afterAll } from "vitest"

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

/** What a script says, and to which of those who have told it something: to nobody, when it takes no commands. */
const decodeTo = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Struct({ to: Schema.optionalKey(Schema.Int) })))

/** A script that runs with the Node of the tests as long as the scope. One that dies fails whoever waits for it. */
const run = (script: URL) =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [fileURLToPath(script)])),
      (child) =>
        Effect.callback<void>((resume) => {
          if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
          child.once("exit", () => resume(Effect.void))
          child.kill("SIGKILL")
        })
    )
    const tellers: Array<Queue.Queue<Message>> = []
    let stderr = ""
    child.stderr.on("data", (text) => {
      stderr += text
    })
    child.stdin.on("error", () => {})
    createInterface({ input: child.stdout }).on("line", (line) => {
      const teller = tellers[decodeTo(line).to ?? 0]
      if (teller !== undefined) Queue.offerUnsafe(teller, decode(line))
    })
    let ended: Cause.Cause<never> | undefined
    child.once("close", (code, signal) => {
      ended = Cause.die(new Error(`the peer ended: ${code ?? signal}\n${stderr}`))
      for (const teller of tellers) Queue.failCauseUnsafe(teller, ended)
    })
    return Effect.gen(function* () {
      if (ended !== undefined) return yield* Effect.failCause(ended)
      const messages = yield* Queue.unbounded<Message>()
      const from = tellers.push(messages) - 1
      const self: Peer = {
        tell: (command) => Effect.sync(() => void child.stdin.write(`${JSON.stringify({ from, ...command })}\n`)),
        next: (event) => expectNext(messages, event)
      }
      return self
    })
  })

/** In a process of its own, for as long as the scope. */
export const start = (script: URL): Effect.Effect<Peer, never, Scope.Scope> => Effect.flatten(run(script))

/**
 * For the tests of the file or the group that calls this: each has a peer that hears of nothing but what it has told,
 * and all are in one process.
 */
export const share = (script: URL): Effect.Effect<Peer> => {
  const scope = Scope.makeUnsafe()
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return Effect.flatten(Effect.runSync(Effect.cached(Scope.provide(run(script), scope))))
}
