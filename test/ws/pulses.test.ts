import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { vi } from "vitest"
import { Pulses } from "../../src/ws/pulses.ts"

describe("the pulses of a transport's WebSockets", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it("come once in a round, the first after a whole one, however many there are by one timer", () => {
    const pulses = new Pulses(10_000)
    const all = Array.from({ length: 3 }, () => {
      const one = { had: 0, onPulse: () => void one.had++ }
      return one
    })
    const had = () => all.map((one) => one.had)
    for (const first of all.slice(0, 1)) pulses.add(first)
    vi.advanceTimersByTime(5000)
    for (const later of all.slice(1)) pulses.add(later)
    assert.strictEqual(vi.getTimerCount(), 1)
    vi.advanceTimersByTime(4800)
    assert.deepStrictEqual(had(), [0, 0, 0])
    vi.advanceTimersByTime(200)
    assert.deepStrictEqual(had(), [1, 0, 0])
    vi.advanceTimersByTime(5000)
    assert.deepStrictEqual(had(), [1, 1, 1])
    vi.advanceTimersByTime(30_000)
    assert.deepStrictEqual(had(), [4, 4, 4])
  })

  it("end for each that is taken out, and the timer with the last", () => {
    const pulses = new Pulses(1000)
    let had = 0
    const pulsed = { onPulse: () => void had++ }
    const slots = [pulses.add({ onPulse: () => {} }), pulses.add(pulsed)]
    pulses.delete(pulsed, slots[1] ?? 0)
    pulses.delete(pulsed, slots[1] ?? 0)
    vi.advanceTimersByTime(5000)
    assert.deepStrictEqual([had, vi.getTimerCount()], [0, 1])
  })

  it("come every 30 seconds at least, and a ping goes out at every so many of them", () => {
    assert.deepStrictEqual(
      [5, 30_000, 30_001, 90_000].map((millis) => new Pulses(millis).perPing),
      [1, 1, 2, 3]
    )
  })
})
