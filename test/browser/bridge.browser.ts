/** A page that reaches a peer on TCP through the command's bridge. */
import * as fs from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { inject } from "vitest"
import { format } from "../../src/Address.ts"
import { start } from "../cli/support.ts"
import { multiserver, served } from "../support/servers.ts"
import { isMissing } from "./support/browsers.ts"
import { connecting, join } from "./support/page.ts"
import { expected, MiB, sending, totalOf } from "./support/peers.ts"

describe.skipIf(isMissing("Chromium", "a page behind a bridge"))("through the command's bridge", () => {
  const tab = connecting("Chromium")

  it.live("a page and a TCP peer exchange 64 MiB each way, and the bridge's memory stays flat", () =>
    Effect.gen(function* () {
      const size = 64 * MiB
      const own = yield* tab
      const received = Deferred.makeUnsafe<ReturnType<typeof expected>>()
      const context = yield* Layer.build(multiserver())
      const [tcp] = yield* served("net:127.0.0.1:0~shs", (far) =>
        Effect.all([sending(size)(far), Effect.flatMap(totalOf(far), (total) => Deferred.succeed(received, total))], {
          concurrency: 2
        })
      ).pipe(Effect.provide(context))
      const target = format(tcp ?? assert.fail("no address"))
      const bridge = yield* start([
        ...["bridge", "--json", "--origin", inject("origin")],
        ...["ws://127.0.0.1:0~noauth", target]
      ])
      const status = `/proc/${bridge.child.pid}/status`
      const resident = (field: string) =>
        Number(new RegExp(`^${field}:\\s*(\\d+) kB`, "m").exec(fs.readFileSync(status, "utf8"))?.[1]) * 1024

      yield* own.call("start", "swap", yield* bridge.address, size)
      yield* own.call("carried", 8 * MiB)
      const before = resident("VmRSS")
      // The most that it has had is counted anew.
      fs.writeFileSync(status.replace("status", "clear_refs"), "5")
      const swapped = yield* join(own, "swap")
      const grown = resident("VmHWM") - before
      console.log(`MEASURED: after 8 MiB each way the bridge had ${before} bytes, and then ${grown} more`)
      assert.deepStrictEqual(swapped, expected(size))
      assert.deepStrictEqual(yield* Deferred.await(received), expected(size))
      assert.isBelow(grown, 48 * MiB)
    })
  )
})
