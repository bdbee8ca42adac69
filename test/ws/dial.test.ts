/** Dialing a WebSocket while Effect lets others run between any two of the dial's operations. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import * as Multiserver from "../../src/Multiserver.ts"
import { served } from "../support/servers.ts"
import { portOf } from "./plain.ts"
import { multiserver } from "./support.ts"

/** By default a fiber lets others run after 2,048 operations. At 2, Effect itself makes no progress. */
const sweep = Array.from({ length: 18 }, (_, i) => i + 3)

describe("a dial of ws", () => {
  it.live("hears that it is open, or that it failed, wherever its fiber lets others run", () =>
    Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", () => Effect.never)
      for (const operations of sweep) {
        const dial = (target: string) =>
          Multiserver.dial(target).pipe(
            Effect.scoped,
            Effect.match({
              onSuccess: () => "open",
              onFailure: (error) => (error._tag === "DialError" ? error.reason._tag : error._tag)
            }),
            Effect.provideService(Scheduler.MaxOpsBeforeYield, operations)
          )
        assert.strictEqual(yield* dial(String(address)), "open", `${operations} operations`)
        assert.strictEqual(yield* dial(`ws://127.0.0.1:${portOf(address)}/nowhere`), "Unreachable", `${operations}`)
        assert.strictEqual(yield* dial("ws://127.0.0.1:1"), "Refused", `${operations}`)
      }
    }).pipe(Effect.provide(multiserver()))
  )
})
