/** The life of a worker process, with a process that is made up. */
import { assert, describe, it } from "@effect/vitest"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as TestClock from "effect/testing/TestClock"
import { NothingListens, WorkersError } from "../../src/workers/errors.ts"
import { live } from "../../src/workers/life.ts"
import type { FromWorker } from "../../src/workers/messages.ts"

describe("a worker process", () => {
  it.effect("that may not go on, and does not stop when it is told to, is killed", () =>
    Effect.gen(function* () {
      const messages = yield* Queue.unbounded<FromWorker, Cause.Done>()
      const happened: Array<string> = []
      const fork = Effect.succeed({
        pid: 1,
        messages,
        send: ({ _tag }: { readonly _tag: string }) => void happened.push(_tag),
        kill: () => {
          happened.push("kill")
          Queue.endUnsafe(messages)
        },
        ended: () => ({ code: null, signal: "SIGKILL" })
      })
      const life = yield* Effect.forkChild(
        live(fork, {
          worker: 1,
          init: {
            _tag: "Init",
            index: 0,
            workers: 1,
            before: 0,
            sharing: "cluster",
            ports: {},
            secret: null,
            events: 0
          },
          emit: () => Effect.void,
          said: () => Effect.void,
          bound: () => {},
          ready: () => Effect.fail(new WorkersError({ reason: new NothingListens() }))
        })
      )
      yield* Queue.offer(messages, { _tag: "Ready", listeners: [], graceMillis: 1000 })
      yield* TestClock.adjust("5999 millis")
      assert.deepEqual(happened, ["Stop"])
      yield* TestClock.adjust("1 millis")
      assert.deepEqual(happened, ["Stop", "kill"])
      assert.strictEqual((yield* Fiber.join(life)).fatal?.reason._tag, "NothingListens")
    })
  )
})
