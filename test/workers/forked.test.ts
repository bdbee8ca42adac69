/** Worker processes that can't be started. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import { fork } from "../../src/workers/forked.ts"

const name = "EFFECT_MULTISERVER_TOO_LONG"

describe("a worker process", () => {
  // Node throws E2BIG here as it throws ENOMEM. The defect would end all workers.
  it.effect("that the system refuses to start has ended at once, and is no defect", () =>
    Effect.gen(function* () {
      process.env[name] = "x".repeat(3_000_000)
      const { ended, messages, pid } = yield* fork
      assert.strictEqual(pid, 0)
      assert.isTrue(Cause.isDone(yield* Effect.flip(Queue.take(messages))))
      assert.deepEqual(ended(), { code: null, signal: null })
    }).pipe(Effect.provide(Logger.layer([])), Effect.ensuring(Effect.sync(() => delete process.env[name])))
  )
})
