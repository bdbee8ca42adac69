/** The stacks beside net~shs, with npm multiserver in the other process, in both roles. */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { Address } from "../../src/Address.ts"
import * as AppKey from "../../src/AppKey.ts"
import type { Connection } from "../../src/Connection.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Noauth from "../../src/noauth/Noauth.ts"
import * as Unix from "../../src/unix/Unix.ts"
import { pattern, protocols, sameBytes, served } from "../support/servers.ts"
import { appKeyBytes, exchange, replyWhole, sizes, theirs, total } from "./setup.ts"

const layer = Multiserver.layer(["net~noauth", "unix~shs", "unix~noauth"]).pipe(
  Layer.provide([protocols(), Unix.layer(), Noauth.layer()]),
  Layer.provide(AppKey.layer(Redacted.make(appKeyBytes)))
)

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "ms-npm-"))),
  (dir) => Effect.sync(() => fs.rmSync(dir, { recursive: true, force: true }))
)

/** As many bytes as were sent. */
const readBytes = (connection: Connection, length: number) =>
  Effect.gen(function* () {
    const chunks: Array<Uint8Array> = []
    for (let have = 0; have < length; ) {
      for (const chunk of yield* connection.pull) {
        chunks.push(chunk)
        have += chunk.length
      }
    }
    return new Uint8Array(Buffer.concat(chunks))
  })

/** Its unix plugin closes at our FIN and drops what it owes: there this side ends when it has everything. */
const inTurn = (connection: Connection, body: Uint8Array) =>
  Effect.gen(function* () {
    const [received] = yield* Effect.all([readBytes(connection, body.length), connection.write(body)], {
      concurrency: 2
    })
    yield* connection.end
    assert.isTrue(Cause.isDone(yield* Effect.flip(connection.pull)))
    return received
  })

describe.each(["net~noauth", "unix~shs", "unix~noauth"] as const)("%s with npm multiserver", (stack) => {
  it.live("dials it, and loses nothing either way", () =>
    Effect.gen(function* () {
      const peer = yield* theirs
      const address = yield* peer.serve({ stack, directory: yield* directory })
      for (const size of sizes) {
        const connection = yield* Multiserver.dial(address)
        const talk = stack === "unix~noauth" ? inTurn(connection, pattern(size)) : exchange(connection, pattern(size))
        const received: Uint8Array = yield* talk
        assert.isTrue(sameBytes(received, pattern(size)), `${size} bytes`)
        const exchanged = yield* peer.next("exchanged")
        assert.deepStrictEqual([exchanged.received, exchanged.error], [total(pattern(size)), null])
      }
    }).pipe(Effect.provide(layer))
  )

  it.live("is dialed by it, and answers after its early half close", () =>
    Effect.gen(function* () {
      const peer = yield* theirs
      const dir = yield* directory
      const target = stack.startsWith("net") ? `net:127.0.0.1:0~noauth` : `unix:${dir}/ours~${stack.slice(5)}`
      const [address] = yield* served(target, replyWhole)
      for (const size of sizes) {
        yield* peer.dial(String(address as Address), { body: { bytes: size, seed: size }, directory: dir })
        const exchanged = yield* peer.next("exchanged")
        assert.deepStrictEqual(exchanged.received, exchanged.sent, `${size} bytes`)
        assert.strictEqual(exchanged.sent.bytes, size)
        assert.isNull(exchanged.error)
      }
    }).pipe(Effect.provide(layer))
  )
})
