/** However its peer breaks off, a port says it when something was lost, and delivers nothing but what was sent. */
import type * as http from "node:http"
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { WebSocketServer } from "ws"
import { PortSocket, socketOptions } from "../../src/ws/portSocket.ts"
import { Pulses } from "../../src/ws/pulses.ts"
import { WsPort } from "../../src/ws/wsPort.ts"
import * as Wire from "../fuzz/websocketWire.ts"
import { until } from "../support/servers.ts"
import { httpPort, httpServer, upgrade } from "./plain.ts"

const maxMessage = 16 << 20
/** More than all kernels between the two take. */
const tooMuch = 32 << 20

const frame = (opcode: number, payload: Uint8Array) => Wire.encode({ fin: true, rsv: 0, opcode, masked: true, payload })
const close = frame(Wire.opcodes.close, Buffer.from([0x03, 0xe8]))

/** A port that was accepted, its socket, and its peer, which is a plain socket that reads nothing yet. */
const accepted = (halfClose: boolean) =>
  Effect.gen(function* () {
    const server = yield* httpServer(() => {})
    const upgrades = new WebSocketServer({ ...socketOptions(false, maxMessage), noServer: true, WebSocket: PortSocket })
    const opened = Effect.callback<{ readonly port: WsPort; readonly own: net.Socket }>((resume) => {
      server.on("upgrade", (request: http.IncomingMessage, own: net.Socket, head) => {
        own.on("error", () => {})
        upgrades.handleUpgrade(request, own, head, (ws) => {
          const port = new WsPort(ws, own, { dialed: false, halfClose, maxMessage, pulses: new Pulses(60_000) })
          resume(Effect.succeed({ port, own }))
        })
      })
    })
    const peer = yield* Effect.acquireRelease(
      Effect.sync(() => net.connect({ port: httpPort(server), host: "127.0.0.1", allowHalfOpen: true })),
      (peer) => Effect.sync(() => void peer.destroy())
    )
    peer.on("error", () => {}).write(upgrade())
    const { own, port } = yield* opened
    yield* Effect.acquireRelease(Effect.void, () => Effect.sync(() => port.destroy()))
    port.listen({ readable: () => {}, drained: () => {} })
    return { port, own, peer }
  })

const isEnded = (port: WsPort) => until(() => port.ended)
const hasFailed = (port: WsPort) => until(() => port.failure !== undefined)

describe("a ws port whose peer breaks off", () => {
  for (const halfClose of [true, false]) {
    it.live(`after its Close is reset when bytes were lost, ${halfClose ? "with" : "without"} a half close`, () =>
      Effect.gen(function* () {
        const { peer, port } = yield* accepted(halfClose)
        port.offer(Buffer.alloc(tooMuch))
        peer.write(close)
        yield* isEnded(port)
        port.end()
        assert.isAbove(port.pending, 0)
        peer.resetAndDestroy()
        yield* hasFailed(port)
        assert.strictEqual(port.failure?._tag, "Reset")
      })
    )
  }

  it.live("is reset when it sends something after the peer has closed both directions", () =>
    Effect.gen(function* () {
      const { own, peer, port } = yield* accepted(true)
      port.offer(Buffer.alloc(tooMuch))
      peer.end(close)
      yield* until(() => own.readableEnded)
      port.offer(Buffer.alloc(1000))
      port.end()
      yield* hasFailed(port)
      assert.strictEqual(port.failure?._tag, "Reset")
    })
  )

  it.live("delivers what had arrived of a message that nobody read, and blames the peer for nothing", () =>
    Effect.gen(function* () {
      const { own, peer, port } = yield* accepted(false)
      // A payload that reads as frames, for who does not know where it is in the stream.
      const body = Buffer.alloc(1 << 20, Buffer.from([0x82, 0x02]))
      peer.write(frame(Wire.opcodes.binary, body))
      yield* until(() => own.readableLength > 0)
      peer.resetAndDestroy()
      // A socket that does not read learns of a reset when it writes.
      while (port.failure === undefined) {
        port.offer(Buffer.alloc(10))
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      assert.strictEqual(port.failure._tag, "Reset")
      const got = Buffer.concat(port.take() ?? [])
      assert.isAbove(got.length, 128 * 1024)
      assert.isTrue(got.equals(body.subarray(0, got.length)))
    })
  )
})
