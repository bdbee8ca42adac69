/** Masks: by words as byte by byte, random, and what a dial sends with them. */
import { execFileSync } from "node:child_process"
import { createRequire } from "node:module"
import * as net from "node:net"
import { fileURLToPath } from "node:url"
import { assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { WebSocketServer } from "ws"
import * as Multiserver from "../../src/Multiserver.ts"
import { native, nativeFrom } from "../../src/ws/bufferutil.ts"
import { applyMask, maskedFrame } from "../../src/ws/mask.ts"
import { readsTypes } from "../support/nodes.ts"
import { echo, pattern, sameBytes, served } from "../support/servers.ts"
import { portOf } from "./plain.ts"
import { multiserver } from "./support.ts"

const key = Uint8Array.of(0x5a, 0x01, 0x80, 0xff)

/** What RFC 6455 says, byte by byte. */
const plainly = (bytes: Uint8Array, phase: number): Uint8Array =>
  bytes.map((byte, i) => byte ^ (key[(phase + i) & 3] as number))

describe("a mask", () => {
  it("is the one of the RFC, wherever it begins, and changes nothing beside", () => {
    for (const length of [0, 1, 3, 64, 255, 256, 257, 258, 259, 1000, 1023, 1024, 4099]) {
      for (let from = 0; from < 9; from++) {
        for (let phase = 0; phase < 4; phase++) {
          const whole = pattern(length + 20, length + 1)
          const masked = whole.slice()
          applyMask(masked, from, from + length, key, phase)
          const expected = whole.slice()
          expected.set(plainly(whole.subarray(from, from + length), phase), from)
          assert.isTrue(sameBytes(masked, expected), `${length} bytes from ${from}, phase ${phase}`)
        }
      }
    }
  })

  it("is random for each frame, and the payload stays as it is", () => {
    const payload = pattern(300)
    const keys = new Set<string>()
    for (let i = 0; i < 5000; i++) {
      const frame = maskedFrame(payload)
      const masked = frame.slice(8)
      const used = frame.subarray(4, 8)
      applyMask(masked, 0, masked.length, used)
      assert.isTrue(sameBytes(masked, payload))
      keys.add(Buffer.from(used).toString("hex"))
    }
    assert.isTrue(sameBytes(payload, pattern(300)))
    assert.isAbove(keys.size, 4990)
  })

  it("is in frames of each length as the RFC writes them", () => {
    for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 70_000]) {
      const frame = Buffer.from(maskedFrame(pattern(length)))
      const head = length < 126 ? 6 : length < 65_536 ? 8 : 14
      assert.strictEqual(frame.length, head + length)
      assert.strictEqual(frame[0], 0x82)
      const short = (frame[1] as number) & 0x7f
      assert.strictEqual((frame[1] as number) >> 7, 1)
      const said = short < 126 ? short : short === 126 ? frame.readUInt16BE(2) : Number(frame.readBigUInt64BE(2))
      assert.strictEqual(said, length)
    }
  })
})

describe("bufferutil", () => {
  const installed = createRequire(import.meta.url)("bufferutil")

  it("is used where it is installed, for what is long", () => {
    assert.strictEqual(native, installed)
    const unmask = vi.spyOn(installed, "unmask")
    const bytes = new Uint8Array(nativeFrom)
    applyMask(bytes, 1, nativeFrom, key)
    assert.strictEqual(unmask.mock.calls.length, 0)
    applyMask(bytes, 0, nativeFrom, key)
    assert.strictEqual(unmask.mock.calls.length, 1)
    unmask.mockRestore()
  })

  it("is left alone with the switch of ws, and where it is but JavaScript", () => {
    const file = fileURLToPath(new URL("../../src/ws/bufferutil.ts", import.meta.url))
    const found = (env: NodeJS.ProcessEnv, before: string) =>
      execFileSync(
        readsTypes,
        ["--input-type=module", "-e", `${before}; console.log(typeof (await import(${JSON.stringify(file)})).native)`],
        { encoding: "utf8", env: { ...process.env, ...env } }
      ).trim()
    const noBinary = 'process.dlopen = () => { throw new Error("no binary") }'
    assert.strictEqual(found({}, ""), "object")
    assert.strictEqual(found({ WS_NO_BUFFER_UTIL: "1" }, ""), "undefined")
    assert.strictEqual(found({}, noBinary), "undefined")
  })
})

/** The keys of the masks in what a client has sent, frame by frame. */
const keysIn = (wire: Buffer): ReadonlyArray<string> => {
  const keys: Array<string> = []
  for (let at = 0; at + 2 <= wire.length; ) {
    const short = (wire[at + 1] as number) & 0x7f
    const head = short < 126 ? 2 : short === 126 ? 4 : 10
    const length = short < 126 ? short : short === 126 ? wire.readUInt16BE(at + 2) : wire.readUInt32BE(at + 6)
    keys.push(wire.toString("hex", at + head, at + head + 4))
    at += head + 4 + length
  }
  return keys
}

describe("what a dial sends", () => {
  it.live.each(["~shs", "~noise", ""])("over ws%s is masked at random, frame by frame", (stack) =>
    Effect.gen(function* () {
      const [address] = yield* served(`ws://127.0.0.1:0${stack}`, echo)
      const sent: Array<Buffer> = []
      const proxy = yield* Effect.acquireRelease(
        Effect.callback<net.Server>((resume) => {
          const server = net.createServer((socket) => {
            const onward = net.connect(portOf(address), "127.0.0.1")
            socket.on("data", (bytes) => sent.push(Buffer.from(bytes))).pipe(onward)
            onward.pipe(socket)
            for (const end of [socket, onward]) end.on("error", () => {})
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const { port } = proxy.address() as net.AddressInfo
      const connection = yield* Multiserver.dial(String(address).replace(/:\d+/, `:${port}`))
      const body = pattern(300_000)
      yield* Effect.forkChild(connection.write(body))
      let received = 0
      while (received < body.length) for (const chunk of yield* connection.pull) received += chunk.length
      const wire = Buffer.concat(sent)
      const keys = keysIn(wire.subarray(wire.indexOf("\r\n\r\n") + 4))
      assert.isAbove(keys.length, 4)
      assert.notInclude(keys, "00000000")
      assert.strictEqual(new Set(keys).size, keys.length)
    }).pipe(Effect.scoped, Effect.provide(multiserver()))
  )

  it.live("is read by a server that takes nothing without a mask", () =>
    Effect.gen(function* () {
      const messages: Array<Buffer> = []
      const server = yield* Effect.acquireRelease(
        Effect.callback<WebSocketServer>((resume) => {
          const server: WebSocketServer = new WebSocketServer({ host: "127.0.0.1", port: 0 }, () =>
            resume(Effect.succeed(server))
          )
          server.on("connection", (ws) => {
            ws.on("message", (data: Buffer) => messages.push(data))
            ws.on("close", () => server.emit("done"))
          })
        }),
        (server) => Effect.sync(() => server.close())
      )
      const done = new Promise((resolve) => server.once("done", resolve))
      const { port } = server.address() as net.AddressInfo
      const connection = yield* Multiserver.dial(`ws://127.0.0.1:${port}`)
      const bodies = [1, 125, 126, 40_000, 65_536, 200_001].map((length) => pattern(length, length))
      for (const body of bodies) yield* connection.write(body)
      yield* connection.end
      yield* Effect.promise(() => done)
      assert.isTrue(sameBytes(Buffer.concat(messages), Buffer.concat(bodies)))
    }).pipe(Effect.scoped, Effect.provide(multiserver()))
  )
})
