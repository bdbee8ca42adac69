/** Which peers a round is with, and who may begin an exchange. */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { burst, choose, Door, maxServed, maxServedOfOne, refill } from "../../src/gossip/peers.ts"
import { numbers } from "./support.ts"

const tagOf = (result: ReturnType<Door["enter"]>): string => (Result.isFailure(result) ? result.failure._tag : "in")

describe("a round", () => {
  it("is with different peers, each as often as the others, and with all if they are few", () => {
    const random = numbers(1)
    const all = ["a", "b", "c", "d", "e"]
    const often = new Map<string, number>()
    for (let i = 0; i < 5000; i++) {
      const chosen = choose(all, 3, random)
      assert.strictEqual(new Set(chosen).size, 3)
      for (const each of chosen) often.set(each, (often.get(each) ?? 0) + 1)
    }
    for (const each of all) assert.approximately(often.get(each) ?? 0, 3000, 200)
    assert.sameMembers([...choose(all, 9, random)], all)
  })
})

describe("the door", () => {
  it("admits a peer as often as nodes of ours come, and no more", () => {
    const door = new Door()
    let admitted = 0
    for (let now = 0; now <= 100 * refill; now += 100) {
      if (tagOf(door.enter("a", true, now)) === "in") {
        admitted++
        door.leave("a")
      }
    }
    assert.isAtMost(admitted, 100 + burst)
    assert.isAtLeast(admitted, 100)
    assert.strictEqual(tagOf(door.enter("a", true, 100 * refill)), "TooOften")
    assert.strictEqual(tagOf(door.enter("b", true, 100 * refill)), "in")
  })

  it("serves few exchanges of one peer at once, and a bounded number of all", () => {
    const door = new Door()
    for (let i = 0; i < maxServedOfOne; i++) assert.strictEqual(tagOf(door.enter("a", true, 0)), "in")
    assert.strictEqual(tagOf(door.enter("a", true, 0)), "Busy")
    for (let i = maxServedOfOne; i < maxServed; i++) assert.strictEqual(tagOf(door.enter("trusted", false, 0)), "in")
    assert.strictEqual(tagOf(door.enter("b", true, 0)), "Busy")
    door.leave("a")
    assert.strictEqual(tagOf(door.enter("b", true, 0)), "in")
  })

  it("is not confused by a clock that goes back", () => {
    const door = new Door()
    for (let i = 0; i < burst; i++) {
      assert.strictEqual(tagOf(door.enter("a", true, 1000 - i)), "in")
      door.leave("a")
    }
    assert.strictEqual(tagOf(door.enter("a", true, 0)), "TooOften")
  })
})
