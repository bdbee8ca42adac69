/** Ours in a process of its own, by whose memory backpressure is measured. */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"

/** What is offered to who does not read, and what memory may grow by. */
export const offered = 300 << 20
export const bound = 32 << 20

const Said = Schema.Struct({
  address: Schema.optionalKey(Schema.String),
  rss: Schema.optionalKey(Schema.Int),
  written: Schema.optionalKey(Schema.Int)
})
const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Said))

/** Ours, in a process of its own. */
export const ours = (...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const script = fileURLToPath(new URL("./hold.mjs", import.meta.url))
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, ["--expose-gc", script, ...args], { stdio: ["pipe", "pipe", "inherit"] })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const said = yield* Queue.unbounded<typeof Said.Type>()
    createInterface({ input: child.stdout }).on("line", (line) => Queue.offerUnsafe(said, decode(line)))
    const next = Queue.take(said)
    return {
      next,
      measure: Effect.andThen(
        Effect.sync(() => child.stdin.write("\n")),
        next
      )
    }
  })

/** What the memory of the process has grown by while `offer` goes on. */
export const growth = (process: Effect.Success<ReturnType<typeof ours>>, offer: Effect.Effect<unknown>) =>
  Effect.gen(function* () {
    const before = yield* process.measure
    yield* offer
    const after = yield* process.measure
    return { grown: (after.rss ?? 0) - (before.rss ?? 0), written: after.written ?? 0 }
  })
