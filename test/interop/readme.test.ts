/**
 * Both examples of npm multiserver's README, ported in examples/, with npm multiserver in the other process, in both
 * roles.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Ws from "ws"
import * as Bridging from "../../examples/bridging.ts"
import * as SideBySide from "../../examples/side-by-side.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Identity from "../../src/Identity.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { echo, pattern, readAll, sameBytes } from "../support/servers.ts"
import { base64 } from "../support/vectors.ts"
import { sharedTheirs, total } from "./setup.ts"

const theirs = sharedTheirs()

/** Sends, ends, and gets everything back. */
const exchange = (address: string, body = pattern(100_000)) =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* Multiserver.dial(address)
      yield* Effect.forkChild(Effect.andThen(connection.write(body), connection.end))
      assert.isTrue(sameBytes(yield* readAll(connection), body))
      return String(connection.remote)
    })
  )

describe("the README of npm multiserver", () => {
  it.live("bridging: TCP and WebSockets at once, with npm and with a plain ws client", () =>
    Effect.gen(function* () {
      const [net, ws] = (yield* Bridging.server(echo)).map(String)
      assert.match(`${net};${ws}`, /^net:127\.0\.0\.1:\d+;ws:\/\/127\.0\.0\.1:\d+$/)
      yield* exchange(net ?? "")

      // Over bare ws an end is the end of both: whoever asks waits for the answer.
      const overWs = yield* Bridging.client(ws ?? "")
      yield* overWs.write(pattern(1000))
      const [answer] = yield* overWs.pull
      assert.isTrue(sameBytes(answer, pattern(1000)))

      const plain = yield* Effect.callback<Buffer>((resume) => {
        const socket = new Ws.WebSocket(ws ?? "")
        socket.on("open", () => socket.send(pattern(500)))
        socket.on("message", (data: Buffer) => {
          socket.close()
          resume(Effect.succeed(data))
        })
      })
      assert.isTrue(sameBytes(plain, pattern(500)))

      const peer = yield* theirs
      yield* exchange(yield* peer.serve({ stack: "net" }))
      assert.deepStrictEqual((yield* peer.next("exchanged")).received, total(pattern(100_000)))
      yield* peer.dial(net ?? "", { body: { bytes: 100_000, seed: 3 } })
      const dialed = yield* peer.next("exchanged")
      assert.deepStrictEqual([dialed.received, dialed.error], [dialed.sent, null])
    }).pipe(Effect.provide(Bridging.Live))
  )

  it.live("upgrade: two security protocols side by side; npm knows the first, ours both", () =>
    Effect.gen(function* () {
      const [weak, strong] = (yield* SideBySide.server(echo)).map(String)
      const key = Identity.formatPublicKey((yield* Identity.Identity).publicKey)
      assert.match(`${weak};${strong}`, /^net:127\.0\.0\.1:\d+~shs:\S+;net:127\.0\.0\.1:\d+~shs2:\S+$/)
      // connect to legacy protocol
      assert.strictEqual(yield* exchange(weak ?? ""), weak)
      // connect to modern protocol
      assert.strictEqual(yield* exchange(strong ?? ""), strong)
      assert.isTrue(strong?.endsWith(`~shs2:${key}`))
      // They are incompatible: the modern client at the legacy port is refused, and nothing is negotiated.
      const crossed = yield* Effect.flip(exchange((strong ?? "").replace(/:\d+~/, /:\d+~/.exec(weak ?? "")?.[0] ?? "")))
      assert.match(crossed.message, /hung up after our hello/)

      const appKey = base64(Redacted.value(SideBySide.appKey))
      const peer = yield* theirs
      yield* peer.dial(weak ?? "", { appKey, body: { bytes: 100_000, seed: 3 } })
      const dialed = yield* peer.next("exchanged")
      assert.deepStrictEqual([dialed.received, dialed.error], [dialed.sent, null])
      yield* exchange(yield* peer.serve({ appKey }))
      assert.deepStrictEqual((yield* peer.next("exchanged")).received, total(pattern(100_000)))
    }).pipe(
      Effect.provide(SideBySide.Live.pipe(Layer.provideMerge(Identity.layerEphemeral), Layer.provide(Sodium.layer)))
    )
  )
})
