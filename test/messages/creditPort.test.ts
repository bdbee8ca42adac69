/** The credit of a stream over messages: between two honest ends, and of an end whose peer says all sorts of things. */
import { queryObjects } from "node:v8"
import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import type { Carrier, Hearer, Posted } from "../../src/messages/carrier.ts"
import { costOf, maxBuffer, maxCredit, minGrant, windowCredit } from "../../src/messages/credit.ts"
import { CreditPort } from "../../src/messages/creditPort.ts"
import { pattern, sameBytes } from "../support/servers.ts"

const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31))

/** A carrier whose messages wait until they are delivered. */
class Hand implements Carrier {
  readonly maxBytes = maxBuffer
  readonly posted: Array<Posted> = []
  hearer: Hearer | undefined
  isClosed = false
  setHearer(hearer: Hearer): void {
    this.hearer = hearer
  }
  post(message: Posted): void {
    assert.isFalse(this.isClosed, "posts after its close")
    this.posted.push(message)
  }
  close(): void {
    this.isClosed = true
  }
  say(message: unknown): void {
    if (!this.isClosed) this.hearer?.onMessage(message)
  }
}

const made = () => {
  const hand = new Hand()
  const port = new CreditPort(hand)
  const heard = { readable: 0, drained: 0 }
  const listen = () => port.listen({ readable: () => heard.readable++, drained: () => heard.drained++ })
  return { hand, port, heard, listen }
}
type End = ReturnType<typeof made>

/** Hands over the next message that one end has posted. */
const deliver = (from: End, to: End): boolean => {
  const message = from.hand.posted.shift()
  if (message === undefined) return false
  to.hand.say(message)
  return true
}

/** A buffer that can grow, of which the compiler's library knows nothing yet. */
const growable = (bytes: number): ArrayBuffer => Reflect.construct(ArrayBuffer, [bytes, { maxByteLength: 1 << 20 }])

const takeAll = ({ port }: End): Uint8Array => Buffer.concat(port.take() ?? [])

/** What is offered waits for the end of the tick, unless it is told to go. */
const flushed = (end: End, bytes: Uint8Array) => {
  end.port.offer(bytes)
  end.port.flush()
}

/** Both ends of a stream, reading, with all that they have said so far delivered. */
const settled = () => {
  const [near, far] = [made(), made()]
  near.listen()
  far.listen()
  settle(near, far)
  return [near, far] as const
}
const settle = (near: End, far: End) => {
  while (deliver(near, far) || deliver(far, near)) {}
}

const costOfPosted = (message: unknown) => (message instanceof ArrayBuffer ? costOf(message.byteLength) : 0)

const why = ({ port }: Pick<End, "port">) =>
  port.failure?._tag === "Reset" ? `Reset ${port.failure.code}` : (port.failure?._tag ?? "open")

// -----------------------------------------------------------------------------
// two honest ends
// -----------------------------------------------------------------------------

type Step =
  | { readonly does: "offer" | "give"; readonly bytes: number }
  | { readonly does: "take" | "listen" | "flush" | "end" }
  | { readonly does: "deliver"; readonly messages: number }

const sizes = fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 3 * maxBuffer }))
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ does: fc.constantFrom("offer", "give"), bytes: sizes }) },
  { weight: 4, arbitrary: fc.record({ does: fc.constantFrom("take", "listen", "flush") }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("end") }) },
  { weight: 6, arbitrary: fc.record({ does: fc.constant("deliver"), messages: fc.integer({ min: 1, max: 9 }) }) }
)

describe(`two ends of a stream, with the seed ${seed} (FUZZ_SEED)`, () => {
  it("never have more on its way and unread than the window, lose nothing, and end as both have said", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), steps), { maxLength: 80 }), (script) => {
        const ends = [made(), made()] as const
        const written: [Array<Uint8Array>, Array<Uint8Array>] = [[], []]
        const read: [Array<Uint8Array>, Array<Uint8Array>] = [[], []]
        /** What was delivered to each end and not taken. */
        const unread: [number, number] = [0, 0]
        const said = [false, false]
        let fill = 0
        const move = (to: 0 | 1, messages: number) => {
          const from = to === 0 ? 1 : 0
          for (let i = 0; i < messages; i++) {
            unread[to] += costOfPosted(ends[from].hand.posted[0])
            if (!deliver(ends[from], ends[to])) return
          }
        }
        const take = (own: 0 | 1) => {
          read[own].push(takeAll(ends[own]))
          unread[own] = 0
        }
        const check = () => {
          for (const own of [0, 1] as const) {
            const onItsWay = ends[own === 0 ? 1 : 0].hand.posted.reduce((sum, each) => sum + costOfPosted(each), 0)
            assert.isAtMost(onItsWay + unread[own], windowCredit)
            assert.strictEqual(why(ends[own]), "open")
          }
        }
        for (const [isFar, step] of script) {
          const own = isFar ? 1 : 0
          const { listen, port } = ends[own]
          if ("bytes" in step) {
            const bytes = new Uint8Array(step.bytes).fill(++fill)
            const copy = bytes.slice()
            if (!said[own]) written[own].push(copy)
            if (step.does === "offer" || !port.give(bytes)) port.offer(bytes)
          } else if ("messages" in step) move(own, step.messages)
          else if (step.does === "take") take(own)
          else if (step.does === "listen") listen()
          else if (step.does === "flush") port.flush()
          else {
            port.end()
            said[own] = true
          }
          check()
        }
        for (const { listen, port } of ends) {
          listen()
          port.end()
        }
        for (let quiet = 0; quiet < 2; quiet++) {
          for (const own of [0, 1] as const) {
            if (ends[own === 0 ? 1 : 0].hand.posted.length > 0) quiet = -1
            move(own, 1)
            take(own)
            check()
          }
        }
        for (const own of [0, 1] as const) {
          const other = own === 0 ? 1 : 0
          assert.isTrue(sameBytes(Buffer.concat(read[own]), Buffer.concat(written[other])))
          assert.isTrue(ends[own].port.ended)
          assert.strictEqual(ends[own].port.pending, 0)
        }
        const [near, far] = ends
        near.port.close()
        settle(near, far)
        assert.strictEqual(why(far), "open")
      }),
      { numRuns: 300, seed }
    )
  })

  it("have no more than a window of credit, whatever waits, and go on when it is taken", () => {
    const [near, far] = settled()
    flushed(near, pattern(1 << 20))
    assert.isTrue(near.port.full)
    const first = near.hand.posted.reduce((sum, each) => sum + costOfPosted(each), 0)
    assert.isAtMost(first, windowCredit)
    assert.isAbove(first, windowCredit - 2 * maxBuffer)
    let read = Buffer.alloc(0)
    const { drained } = near.heard
    while (deliver(near, far) || deliver(far, near)) read = Buffer.concat([read, takeAll(far)])
    assert.isTrue(sameBytes(read, pattern(1 << 20)))
    assert.strictEqual(near.port.pending, 0)
    assert.isAbove(near.heard.drained, drained)
  })

  it("join what is written in one tick, and copy it", async () => {
    const [near, far] = settled()
    const bytes = Uint8Array.of(1, 2, 3)
    near.port.offer(bytes)
    near.port.offer(bytes.subarray(1))
    bytes.fill(9)
    assert.deepStrictEqual(near.hand.posted, [])
    assert.strictEqual(near.port.pending, 5)
    await Promise.resolve()
    assert.strictEqual(near.hand.posted.length, 1)
    assert.strictEqual(near.port.pending, 0)
    settle(near, far)
    assert.deepStrictEqual([...takeAll(far)], [1, 2, 3, 2, 3])
  })

  it("keep short pieces that wait for credit in few buffers, each as long as its bytes in the end", () => {
    const near = made()
    near.listen()
    near.hand.posted.length = 0
    const bytes = pattern(20_000)
    const before = queryObjects(Uint8Array, { format: "count" })
    for (let i = 0; i < bytes.length; i++) {
      near.port.offer(bytes.subarray(i, i + 1))
      // Each is in a tick of its own.
      near.port.flush()
    }
    assert.isBelow(queryObjects(Uint8Array, { format: "count" }) - before, 100)
    near.hand.say(`grant ${windowCredit}`)
    const posted = near.hand.posted.map((each) => (typeof each === "string" ? assert.fail(each) : new Uint8Array(each)))
    assert.deepStrictEqual(
      posted.map(({ length }) => length),
      [16_384, 3616]
    )
    assert.isTrue(sameBytes(Buffer.concat(posted), bytes))
  })

  it("hand over a chunk that is given, if it is all of its buffer, and no other one", () => {
    const [near] = settled()
    const memory = new ArrayBuffer(1000)
    const whole = new Uint8Array(memory)
    assert.isTrue(near.port.give(whole))
    near.port.flush()
    assert.strictEqual(near.hand.posted[0], memory)
    for (const other of [whole.subarray(1), new Uint8Array(maxBuffer + 1), new Uint8Array(new SharedArrayBuffer(8))]) {
      assert.isFalse(near.port.give(other))
    }
    assert.isFalse(near.port.give(new Uint8Array(growable(8))))
  })

  it("keep the end pending until the peer has it, so that nothing is lost when the port is closed then", () => {
    const [near, far] = settled()
    near.port.offer(pattern(10))
    near.port.end()
    assert.strictEqual(near.port.pending, 1)
    deliver(near, far)
    deliver(near, far)
    assert.strictEqual(near.port.pending, 1)
    assert.isFalse(far.port.ended)
    deliver(far, near)
    assert.strictEqual(near.port.pending, 0)
    near.port.close()
    settle(near, far)
    assert.isTrue(sameBytes(takeAll(far), pattern(10)))
    assert.isTrue(far.port.ended)
    assert.strictEqual(why(far), "open")
  })

  it("fail a write after the peer has closed, with EPIPE, and end without anybody who hears it", async () => {
    const [near, far] = settled()
    near.port.end()
    settle(near, far)
    near.port.close()
    settle(near, far)
    const other = settled()
    other[0].port.end()
    settle(...other)
    other[0].port.close()
    settle(...other)
    other[1].port.end()
    assert.strictEqual(other[1].port.pending, 0)
    other[1].port.close()
    assert.deepStrictEqual(other[1].hand.posted, [])
    far.port.offer(pattern(1))
    assert.strictEqual(why(far), "open")
    await Promise.resolve()
    assert.strictEqual(why(far), "Reset EPIPE")
  })

  it("hear that the other one has broken off, and can still take what had arrived", () => {
    const [near, far] = settled()
    flushed(near, pattern(10))
    near.port.destroy()
    settle(near, far)
    assert.strictEqual(why(far), "Reset ECONNRESET")
    assert.isTrue(sameBytes(takeAll(far), pattern(10)))
    assert.isFalse(far.port.ended)
  })

  it("hear that the other one is gone, but not after both have ended", () => {
    const [near, far] = settled()
    far.hand.hearer?.onClosed()
    assert.strictEqual(why(far), "Reset PORT_CLOSED")
    near.port.destroy()
    const [one, two] = settled()
    one.port.end()
    two.port.end()
    settle(one, two)
    two.hand.hearer?.onClosed()
    assert.strictEqual(why(two), "open")
  })

  it("fail when a message can't be posted", () => {
    const [near] = settled()
    near.hand.post = () => {
      throw new Error("no")
    }
    flushed(near, pattern(1))
    assert.strictEqual(why(near), "Reset PORT_POST")
  })

  it("tell the peer when a buffer can't be posted, because not every platform tells of a close", () => {
    const [near, far] = settled()
    const { hand } = near
    const post = hand.post.bind(hand)
    hand.post = (message) => {
      if (typeof message !== "string") throw new Error("it is detached")
      post(message)
    }
    flushed(near, pattern(1))
    assert.strictEqual(why(near), "Reset PORT_POST")
    assert.isTrue(hand.isClosed)
    settle(near, far)
    assert.strictEqual(why(far), "Reset ECONNRESET")
  })
})

// -----------------------------------------------------------------------------
// a peer that says anything
// -----------------------------------------------------------------------------

/** What no peer of the protocol posts. */
const garbage: ReadonlyArray<readonly [string, () => unknown]> = [
  ["nothing", () => undefined],
  ["null", () => null],
  ["a number", () => 5],
  ["an object", () => ({ data: new ArrayBuffer(1) })],
  ["an array", () => ["end"]],
  ["a view", () => new Uint8Array(4)],
  ["shared memory", () => new SharedArrayBuffer(4)],
  ["a buffer that may grow", () => growable(1)],
  ["an empty buffer", () => new ArrayBuffer(0)],
  ["a buffer that is too long", () => new ArrayBuffer(maxBuffer + 1)],
  ["no credit", () => "grant 0"],
  ["a negative credit", () => "grant -1"],
  ["a credit in other digits", () => "grant 0x10"],
  ["a credit with a zero before it", () => "grant 01"],
  ["a broken credit", () => "grant 1.5"],
  ["an absurd credit", () => "grant 9007199254740993"],
  ["more credit than is taken", () => `grant ${maxCredit + 1}`],
  ["a word in capitals", () => "END"],
  ["a word with more behind it", () => "end\n"],
  ["a long text", () => "end".repeat(1 << 20)],
  ["the hello of a dial", () => "hello"]
]

describe("an end whose peer posts", () => {
  it.each(garbage)("%s ends with a ProtocolViolation, and tells the peer", (_, make) => {
    const [near] = settled()
    near.hand.say(make())
    assert.strictEqual(why(near), "ProtocolViolation")
    assert.deepStrictEqual(near.hand.posted, ["break"])
    assert.isTrue(near.hand.isClosed)
  })

  it("what its platform can't read ends with a ProtocolViolation", () => {
    const [near] = settled()
    near.hand.hearer?.onUnreadable()
    assert.strictEqual(why(near), "ProtocolViolation")
  })

  it("data before this side reads ends with a ProtocolViolation", () => {
    const near = made()
    near.hand.say(new ArrayBuffer(1))
    assert.strictEqual(why(near), "ProtocolViolation")
  })
})

type Move = { readonly says: unknown } | { readonly does: "offer" | "take" | "end" | "listen"; readonly bytes: number }

const words = fc.constantFrom("end", "end heard", "close", "break")
const moves: fc.Arbitrary<Move> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ says: words }) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: maxCredit >> 1 }).map((n) => ({ says: `grant ${n}` })) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: maxBuffer }).map((n) => ({ says: new ArrayBuffer(n) })) },
  {
    weight: 6,
    arbitrary: fc.record({ does: fc.constantFrom("offer", "take", "end", "listen"), bytes: sizes })
  }
)

/** How a stream may begin, with steps that chance alone rarely puts together. */
const beginnings: fc.Arbitrary<ReadonlyArray<Move>> = fc.constantFrom<ReadonlyArray<Move>>(
  [],
  [{ says: "grant 200000" }, { does: "listen", bytes: 0 }],
  [{ does: "offer", bytes: 100 }, { says: "end" }],
  [{ does: "offer", bytes: 100 }, { says: "end" }, { says: "close" }],
  [{ says: "end" }, { does: "end", bytes: 0 }, { says: "end heard" }, { says: "break" }],
  [{ says: "end" }, { says: "close" }, { does: "end", bytes: 0 }, { says: "break" }]
)

/** What the rules of docs/port.md say, told by what both have posted. */
class Model {
  state = "open"
  /** What the peer has sent and this side has not taken, by its credit. */
  unread = 0
  private granted = 0
  private credit = 0
  /** What was offered and not posted. */
  private waiting = 0
  private hasEnded = false
  private isAlone = false
  private own: "open" | "said" | "ended" = "open"

  /** The port has posted this, which has to be within the rules. */
  posted(message: Posted): void {
    if (message instanceof ArrayBuffer) {
      this.credit -= costOf(message.byteLength)
      this.waiting -= message.byteLength
      assert.isAtLeast(this.credit, 0, "more than the peer has granted")
      assert.strictEqual(this.own, "open")
    } else if (message.startsWith("grant ")) {
      assert.isFalse(this.hasEnded, "a grant after the peer's end")
      const credit = Number(message.slice(6))
      assert.isAtLeast(credit, minGrant)
      this.granted += credit
      assert.isAtMost(this.granted + this.unread, windowCredit)
    } else if (message === "end") this.own = "said"
  }

  /** The peer says one of the protocol's messages. */
  said(message: unknown): void {
    if (this.state === "open") this.state = this.after(message)
  }

  private after(message: unknown): string {
    const violation = "ProtocolViolation"
    if (message instanceof ArrayBuffer) {
      this.granted -= costOf(message.byteLength)
      this.unread += costOf(message.byteLength)
      return this.granted < 0 || this.hasEnded ? violation : "open"
    }
    switch (message) {
      case "end": {
        const isSecond = this.hasEnded
        this.hasEnded = true
        return isSecond ? violation : "open"
      }
      case "end heard":
        if (this.own !== "said") return violation
        this.own = "ended"
        return "open"
      case "close": {
        const isWrong = !this.hasEnded || this.isAlone
        this.isAlone = true
        if (this.own === "said") this.own = "ended"
        if (isWrong) return violation
        // What waits for credit is lost, and so is the stream.
        return this.waiting > 0 ? "Reset EPIPE" : "open"
      }
      case "break":
        if (!this.hasEnded || this.own !== "ended") return "Reset ECONNRESET"
        this.isAlone = true
        return "open"
      default:
        this.credit += Number(String(message).slice(6))
        return this.isAlone || this.credit > maxCredit ? violation : "open"
    }
  }

  /** Whether this side may offer. How a write to a peer that has closed fails is another test's. */
  offers(bytes: number): boolean {
    if (this.isAlone || this.isEnding) return false
    this.waiting += bytes
    return true
  }

  private isEnding = false

  /** This side ends. A peer that has closed need not hear of it. */
  ends(): void {
    this.isEnding = true
    if (this.isAlone && this.own === "open") this.own = "ended"
  }
}

describe(`an end whose peer breaks the rules, with the seed ${seed} (FUZZ_SEED)`, () => {
  it("goes on as long as the rules are kept, fails with what the model says, and holds no more than a window", () => {
    const outcomes = new Set<string>()
    fc.assert(
      fc.property(beginnings, fc.array(moves, { maxLength: 60 }), (beginning, rest) => {
        const script = [...beginning, ...rest]
        const { hand, listen, port } = made()
        const model = new Model()
        for (const move of script) {
          if ("says" in move) {
            model.said(move.says)
            hand.say(move.says)
          } else if (move.does === "offer") {
            if (model.offers(move.bytes)) port.offer(new Uint8Array(move.bytes))
            port.flush()
          } else if (move.does === "take") {
            model.unread = 0
            port.take()
          } else if (move.does === "listen") listen()
          else {
            model.ends()
            port.end()
          }
          for (const message of hand.posted.splice(0)) model.posted(message)
          assert.strictEqual(why({ port }), model.state)
          if (model.state !== "open") break
          assert.isAtMost(model.unread, windowCredit)
        }
        outcomes.add(model.state)
      }),
      { numRuns: 2000, seed }
    )
    assert.sameMembers([...outcomes], ["open", "ProtocolViolation", "Reset ECONNRESET", "Reset EPIPE"])
  })
})
