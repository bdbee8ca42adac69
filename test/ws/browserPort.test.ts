/** The port over a WebSocket that the test plays: when it looks at what has left, and what it hands over. */
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { vi } from "vitest"
import { Overflow } from "../../src/ConnectionError.ts"
import { BrowserPort, type WebSocketEvent, type WebSocketLike } from "../../src/ws/browserPort.ts"

class Played implements WebSocketLike {
  binaryType = "blob"
  readyState = 0
  bufferedAmount: number | undefined = 0
  counts = true
  readonly sent: Array<Uint8Array> = []
  readonly closes: Array<number | undefined> = []
  private readonly listeners = new Map<string, (event: WebSocketEvent) => void>()

  addEventListener(type: string, listener: (event: WebSocketEvent) => void): void {
    this.listeners.set(type, listener)
  }
  tell(type: string, event: Partial<WebSocketEvent> = {}): void {
    if (type === "open") this.readyState = 1
    if (type === "close") this.readyState = 3
    this.listeners.get(type)?.({ type, ...event })
  }
  send(data: Uint8Array<ArrayBuffer>): void {
    this.sent.push(data.slice())
    if (this.counts && this.bufferedAmount !== undefined) this.bufferedAmount += data.length
  }
  close(code?: number): void {
    this.readyState = 2
    this.closes.push(code)
  }
}

const opened = (ws: Played = new Played()) => {
  let drained = 0
  let readable = 0
  const port = new BrowserPort(
    ws,
    { halfClose: true, maxUnheard: 500_000, maxUnread: 1000 },
    { opened: () => {}, failed: () => {} }
  )
  ws.tell("open")
  port.listen({ drained: () => drained++, readable: () => readable++ })
  return { ws, port, drained: () => drained, readable: () => readable }
}

const lengths = (ws: Played) => ws.sent.map(({ length }) => length)

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe("a port over the platform's WebSocket", () => {
  it("asks for ArrayBuffers", () => assert.strictEqual(opened().ws.binaryType, "arraybuffer"))

  it("has a timer only while something waits, and no more than one", () => {
    const { drained, port, ws } = opened()
    assert.strictEqual(vi.getTimerCount(), 0)
    for (let i = 0; i < 20; i++) {
      port.offer(new Uint8Array(100))
      port.flush()
    }
    assert.strictEqual(vi.getTimerCount(), 1)
    vi.advanceTimersByTime(100)
    assert.strictEqual(vi.getTimerCount(), 1)
    ws.bufferedAmount = 0
    const before = drained()
    vi.advanceTimersByTime(4)
    assert.isAbove(drained(), before)
    assert.strictEqual(vi.getTimerCount(), 0)
  })

  it("without a bufferedAmount never waits, has no timer, and bounds what is sent without a word of the peer", () => {
    const ws = new Played()
    ws.bufferedAmount = undefined
    const { drained, port } = opened(ws)
    const send = () => {
      port.offer(new Uint8Array(100_000))
      port.flush()
    }
    for (let i = 0; i < 5; i++) send()
    assert.strictEqual(port.pending, 0)
    assert.isFalse(port.full)
    assert.isAbove(drained(), 0)
    assert.strictEqual(vi.getTimerCount(), 0)
    ws.tell("message", { data: new ArrayBuffer(1) })
    for (let i = 0; i < 5; i++) send()
    assert.isUndefined(port.failure)
    send()
    assert.deepStrictEqual(port.failure, new Overflow({ limit: 500_000, of: "sent" }))
    assert.deepStrictEqual(ws.closes, [4000])
    assert.include(String(port.failure), "raise maxUnheard")
    // What had arrived can still be read.
    assert.strictEqual(port.take()?.[0].length, 1)
  })

  it("tells that there is room also when it was full for a moment between two looks", () => {
    const { drained, port, ws } = opened()
    port.offer(new Uint8Array(64 * 1024))
    assert.isFalse(port.full)
    while (!port.full) port.offer(new Uint8Array(64 * 1024))
    assert.strictEqual(port.pending, 1024 * 1024)
    ws.bufferedAmount = 1000
    const before = drained()
    vi.advanceTimersByTime(4)
    assert.isAbove(drained(), before)
  })

  it("tells it at once where the platform counts nothing", () => {
    const ws = new Played()
    ws.counts = false
    const { drained, port } = opened(ws)
    port.offer(new Uint8Array(10))
    port.flush()
    assert.deepStrictEqual([drained(), port.pending, vi.getTimerCount()], [1, 0, 0])
  })

  it("sends what was offered in one tick as one message, or as several of 64 KiB, and keeps nothing of the caller's", async () => {
    const { port, ws } = opened()
    const bytes = new Uint8Array(10).fill(1)
    for (let i = 0; i < 5; i++) assert.isTrue(port.offer(bytes))
    bytes.fill(2)
    assert.deepStrictEqual(lengths(ws), [])
    await Promise.resolve()
    assert.deepStrictEqual(lengths(ws), [50])
    assert.isTrue(ws.sent[0]?.every((byte) => byte === 1))
    port.offer(new Uint8Array(200_000))
    await Promise.resolve()
    assert.deepStrictEqual(lengths(ws), [50, 65_536, 65_536, 65_536, 200_000 - 3 * 65_536])
  })

  it("says its Close behind everything, once, and has no timer left when it is left", () => {
    const { port, ws } = opened()
    port.offer(new Uint8Array(10))
    port.end()
    port.end()
    assert.deepStrictEqual([lengths(ws), ws.closes, vi.getTimerCount()], [[10], [1000], 1])
    assert.strictEqual(port.pending, 10)
    ws.bufferedAmount = 0
    port.close()
    port.destroy()
    assert.deepStrictEqual([ws.closes, vi.getTimerCount()], [[1000], 0])
  })

  it("fails when the peer's Close came between an offer and its message, and not when nothing was offered", () => {
    for (const offered of [true, false]) {
      const { port, ws } = opened()
      if (offered) port.offer(new Uint8Array(10))
      ws.readyState = 2
      port.flush()
      assert.isUndefined(port.failure)
      ws.tell("close", { code: 1000 })
      assert.strictEqual(port.failure !== undefined, offered)
      assert.isTrue(port.ended)
      assert.deepStrictEqual([lengths(ws), port.pending], [[], 0])
    }
  })

  it("breaks off with a code of its own, also while it connects, and tells nobody of the Close that comes", () => {
    for (const ws of [new Played(), opened().ws]) {
      let failed = 0
      const port = new BrowserPort(
        ws,
        { halfClose: true, maxUnheard: 1, maxUnread: 1 },
        { opened: () => {}, failed: () => failed++ }
      )
      port.destroy()
      ws.tell("close", { code: 1006 })
      assert.deepStrictEqual([ws.closes, failed], [[4000], 0])
    }
  })

  it("keeps what is within the bound, and ends above it", () => {
    const { port, ws } = opened()
    for (let i = 0; i < 10; i++) ws.tell("message", { data: new ArrayBuffer(100) })
    assert.isUndefined(port.failure)
    ws.tell("message", { data: new ArrayBuffer(1) })
    assert.instanceOf(port.failure, Overflow)
    assert.deepStrictEqual(ws.closes, [4000])
    ws.tell("message", { data: new ArrayBuffer(500) })
    assert.strictEqual(
      port.take()?.reduce((sum, { length }) => sum + length, 0),
      1001
    )
  })
})
