/** Newcomers of a busy process wait in the kernel: none is dropped, which would cost it a second. */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Worker } from "node:worker_threads"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Address from "../../src/Address.ts"
import * as NodeIdentity from "../../src/NodeIdentity.ts"
import * as NodeMultiserver from "../../src/NodeMultiserver.ts"
import { echo, served } from "../support/servers.ts"

const Live = NodeMultiserver.layer().pipe(Layer.provide(NodeIdentity.layerEphemeral))

/** More than Node's default of 511, less than the 4,096 of any Linux since 5.4. */
const count = 700

/** Blocks this thread, and so its listener, until all are connected. A dropped one would only come after it. */
const connectedMeanwhile = (options: { readonly port: number } | { readonly path: string }) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const shared = new SharedArrayBuffer(4)
      const worker = new Worker(new URL("./backlog.mjs", import.meta.url), { workerData: { count, options, shared } })
      return { shared, worker }
    }),
    ({ shared }) =>
      Effect.sync(() => {
        const state = new Int32Array(shared)
        Atomics.wait(state, 0, 0, 60_000)
        return Atomics.load(state, 0)
      }),
    ({ worker }) => Effect.promise(() => worker.terminate())
  )

const portOf = (address: Address.Address | undefined): number => {
  const transport = address?.transport
  return transport !== undefined && "port" in transport && typeof transport.port === "number" ? transport.port : 0
}

/** Other systems have maxima of their own, 128 for example, and take no more. */
describe.skipIf(process.platform !== "linux")("a process that is busy", () => {
  for (const target of ["net:127.0.0.1:0~shs", "ws://127.0.0.1:0~shs"]) {
    it.live(`${target}: keeps ${count} newcomers waiting`, () =>
      Effect.gen(function* () {
        const [address] = yield* served(target, echo)
        assert.strictEqual(yield* connectedMeanwhile({ port: portOf(address) }), 1)
      }).pipe(Effect.provide(Live))
    )
  }

  it.live(`unix: keeps ${count} newcomers waiting`, () =>
    Effect.gen(function* () {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), "backlog-"))
      const file = path.join(folder, "socket")
      yield* served(`unix:${file}~shs`, echo)
      assert.strictEqual(yield* connectedMeanwhile({ path: file }), 1)
      fs.rmSync(folder, { recursive: true, force: true })
    }).pipe(Effect.provide(Live))
  )
})
