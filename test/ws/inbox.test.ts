import { assert, describe, it } from "@effect/vitest"
import { Inbox } from "../../src/ws/inbox.ts"
import { pattern, sameBytes } from "../support/servers.ts"

describe("messages that wait", () => {
  it("are one stream in order, whatever their lengths are", () => {
    const inbox = new Inbox()
    const bytes = pattern(400_000)
    const lengths = [1, 0, 1, 511, 512, 513, 3, 8191, 8192, 8193, 2, 100, 300, 20_000]
    const taken: Array<Uint8Array> = []
    let at = 0
    for (let i = 0; at < bytes.length; i++) {
      const length = lengths[i % lengths.length] as number
      inbox.push(bytes.subarray(at, at + length))
      at += length
      if (i % 9 === 0) taken.push(...(inbox.take() ?? []))
    }
    taken.push(...(inbox.take() ?? []))
    assert.isTrue(sameBytes(Buffer.concat(taken), bytes))
    assert.isUndefined(inbox.take())
  })

  it("cost little more than their bytes when each has but one", () => {
    const inbox = new Inbox()
    for (let i = 0; i < 128 * 1024; i++) inbox.push(Uint8Array.of(1))
    assert.strictEqual(inbox.bytes, 128 * 1024)
    const chunks = inbox.take() ?? []
    assert.isAtMost(chunks.length, 16)
    const held = chunks.reduce((sum, { buffer }) => sum + buffer.byteLength, 0)
    assert.isAtMost(held, 2 * 128 * 1024)
  })

  it("hold on to nothing that was read with them", () => {
    const inbox = new Inbox()
    inbox.push(new Uint8Array(64 * 1024).subarray(0, 10))
    inbox.push(new Uint8Array(64 * 1024).subarray(0, 1000))
    for (const { buffer } of inbox.take() ?? []) assert.isBelow(buffer.byteLength, 2000)
  })

  it("stay the taker's: what comes later is written elsewhere", () => {
    const inbox = new Inbox()
    inbox.push(Uint8Array.of(1))
    inbox.push(Uint8Array.of(2))
    const taken = inbox.take() ?? []
    inbox.push(Uint8Array.of(3))
    inbox.push(Uint8Array.of(4))
    assert.deepStrictEqual([...Buffer.concat(taken)], [1, 2])
    assert.deepStrictEqual([...Buffer.concat(inbox.take() ?? [])], [3, 4])
  })
})
