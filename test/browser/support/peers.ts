/** The peers of a page, in the process of the test. */
import { createHash } from "node:crypto"
import * as net from "node:net"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { inject } from "vitest"
import { format } from "../../../src/Address.ts"
import * as Connection from "../../../src/Connection.ts"
import type * as Listener from "../../../src/Listener.ts"
import { served } from "../../support/servers.ts"
import { multiserver } from "../../ws/support.ts"
import { piece, pieceBytes } from "../clients/pieces.ts"

export const MiB = 1024 * 1024

/** The hash of the first bytes of what a page sends. */
export const expected = (bytes: number) => {
  const hash = createHash("sha256")
  for (let at = 0; at < bytes; at += pieceBytes) hash.update(piece(at).subarray(0, bytes - at))
  return { bytes, sha256: hash.digest("hex") }
}

/** Ours, listening as long as the test. */
export const listening = <E, R>(stack: string, handler: Listener.Handler<E, R>) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(multiserver({}, {}, { origins: [inject("origin")] }))
    const [address] = yield* served(stack.replace(/^ws/, "ws://127.0.0.1:0"), handler).pipe(Effect.provide(context))
    return format(address ?? assert.fail("no address"))
  })

/** Sends so much, and ends. */
export const sending =
  (bytes: number) =>
  ({ write }: Connection.Connection) =>
    Effect.gen(function* () {
      for (let at = 0; at < bytes; at += pieceBytes) yield* write(piece(at).subarray(0, bytes - at))
    })

/** How much comes, and its hash. */
export const totalOf = (connection: Connection.Connection) =>
  Effect.gen(function* () {
    const hash = createHash("sha256")
    let bytes = 0
    yield* Connection.forEachChunk(connection, (chunk) =>
      Effect.sync(() => {
        hash.update(chunk)
        bytes += chunk.length
      })
    )
    return { bytes, sha256: hash.digest("hex") }
  })

/** A port that was free a moment ago. */
export const unusedPort = Effect.callback<number>((resume) => {
  const server = net.createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as net.AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})
