/** The heart of gossip: an exchange between two nodes, without I/O and without a clock. */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { AddressRecord } from "../../src/AddressRecord.ts"
import * as Exchange from "../../src/gossip/exchange.ts"
import * as Wire from "../../src/gossip/wire.ts"
import { exchange, node, now, numbers, pairOf, recordOf, wire } from "./support.ts"

const add = (to: Exchange.Node, ...records: ReadonlyArray<AddressRecord>) => {
  for (const record of records) to.known.add(record, now)
  return to
}

const sequenceOf = (of: Exchange.Node, who: number) => of.known.get(pairOf(who).publicKey)?.sequence

const Held = Schema.Struct({
  who: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 11 })),
  sequence: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 })),
  isOld: Schema.Boolean
})
const held = Arbitrary.array(Arbitrary.schema(Held), { maxLength: 20 })

/** One record for each key and sequence, which has expired or not. */
const records = (all: ReadonlyArray<typeof Held.Type>) =>
  all.map(({ isOld, sequence, who }) =>
    recordOf(who, 2 * sequence + (isOld ? 1 : 0), { expires: isOld ? now - 1 : now + 60 })
  )

describe("after an exchange", () => {
  it.prop(
    "each has what the other had, if it is newer and has not expired, and nothing gets older",
    { a: held, b: held },
    ({ a, b }) => {
      const dialer = add(node([0, 1, 2]), ...records(a))
      const listener = add(node([3, 4]), ...records(b))
      const before = Array.from({ length: 12 }, (_, who) =>
        [dialer, listener].map(({ known }) => known.get(pairOf(who).publicKey))
      )
      assert.isUndefined(exchange(dialer, listener).fault)
      for (const [who, [ofDialer, ofListener]] of before.entries()) {
        for (const [own, theirs, side] of [
          [ofDialer, ofListener, dialer],
          [ofListener, ofDialer, listener]
        ] as const) {
          const isNews = theirs !== undefined && theirs.expires > now && theirs.sequence > (own?.sequence ?? -1)
          assert.strictEqual(sequenceOf(side, who), (isNews ? theirs : own)?.sequence)
        }
      }
      // A second one has nothing to hand on.
      assert.strictEqual(exchange(listener, dialer).records, 0)
    }
  )

  it("an expired record is not handed on, and keeps an older one from coming back", () => {
    const old = recordOf(1, 5, { expires: now + 7200 })
    const knows = add(node([]), recordOf(1, 6, { expires: now - 1 }))
    const behind = add(node([]), old)
    assert.deepInclude(exchange(behind, knows), { records: 0, fault: undefined })
    assert.deepInclude(exchange(knows, behind), { records: 0, fault: undefined })
    assert.deepStrictEqual([sequenceOf(knows, 1), sequenceOf(behind, 1)], [6, 5])
  })

  it("two records of one sequence stay where they are, and nothing else is held up", () => {
    const here = add(node([]), recordOf(1, 5, { addresses: ["memory:here"] }), recordOf(2, 1))
    const there = add(node([]), recordOf(1, 5, { addresses: ["memory:there"] }))
    assert.deepInclude(exchange(here, there), { records: 1, fault: undefined })
    assert.strictEqual(sequenceOf(there, 2), 1)
    assert.deepStrictEqual(there.known.get(pairOf(1).publicKey)?.addresses, ["memory:there"])
  })
})

describe("more than one exchange has room for", () => {
  const many = Array.from({ length: 2400 }, (_, i) => recordOf(100 + i, 1))
  const named = new Map(many.map((record) => [Wire.idOf(record.publicKey), record]))
  /** The records are known to be signed: thousands of signatures need not be verified. */
  const decode: Exchange.Node["decode"] = (bytes) => {
    const found = named.get(Wire.idOf(bytes.subarray(33)))
    return found === undefined ? wire.decode(bytes) : Result.succeed(found)
  }

  it("a digest names all listed peers, and a section of the others: each in its turn", () => {
    const full = add(node([1, 2], { others: 3000, random: numbers(1) }), recordOf(1, 1), recordOf(2, 1), ...many)
    const seen = new Set<Wire.Id>()
    for (let i = 0; i < 20; i++) {
      const { entries } = Exchange.digestOf(full, now)
      assert.strictEqual(entries.length, Wire.maxEntries)
      const ids = entries.map(({ id }) => id)
      assert.includeMembers(ids, [Wire.idOf(pairOf(1).publicKey), Wire.idOf(pairOf(2).publicKey)])
      for (const id of ids) seen.add(id)
    }
    assert.strictEqual(seen.size, many.length + 2)
  })

  it("two nodes have everything after some exchanges, each of which is bounded", () => {
    const random = numbers(7)
    const dialer = add(node([], { others: 3000, random, decode }), ...many.slice(0, 1500))
    const listener = add(node([], { others: 3000, random, decode }), ...many.slice(1000))
    let exchanges = 0
    while (dialer.known.entries().size + listener.known.entries().size < 2 * many.length) {
      const { bytes, fault, records } = exchange(dialer, listener)
      assert.isUndefined(fault)
      assert.isAtMost(records, 2 * Wire.maxRecords)
      assert.isAtMost(bytes, Wire.maxFrame + 2 + 2 * Wire.maxRecords * 1010 + 600)
      exchanges++
      assert.isBelow(exchanges, 60)
    }
  })

  it("the records of listed peers come first", () => {
    const behind = node([1, 2], { decode })
    const flooded = add(node([], { others: 3000 }), ...many.slice(0, 900), recordOf(1, 9), recordOf(2, 9))
    exchange(flooded, behind)
    assert.deepStrictEqual([sequenceOf(behind, 1), sequenceOf(behind, 2)], [9, 9])
  })

  it("however many others come, listed peers' records and one's own stay, and memory is bounded", () => {
    const full = add(node([1, 2], { others: 50 }), recordOf(1, 1, { expires: now + 1 }), ...many)
    assert.strictEqual(full.known.entries().size, 51)
    assert.strictEqual(sequenceOf(full, 1), 1)
  })
})

describe("a peer that breaks the rules", () => {
  const step = (own: Exchange.Node, state: Exchange.State, message: Wire.Message) => {
    const next = Exchange.step(own, state, message, now)
    return Result.isFailure(next) ? next.failure._tag : next.success.state._tag
  }
  const record = (bytes: Uint8Array): Wire.Message => ({ _tag: "Record", bytes })
  const digest = (...all: ReadonlyArray<AddressRecord>): Wire.Digest => Exchange.digestOf(add(node([]), ...all), now)

  /** A listener that has been told of records of 1 and 2 with sequence 5, and wants them. */
  const wanting = () => {
    const own = node([1, 2, 3])
    const next = Exchange.step(own, Exchange.listening.state, digest(recordOf(1, 5), recordOf(2, 5)), now)
    return { own, state: Result.getOrThrow(next).state }
  }
  /** A dialer that has a record of 1 with sequence 5, and gets what it lacks. */
  const lacking = () => {
    const own = add(node([1, 2, 3]), recordOf(1, 5))
    const next = Exchange.step(own, Exchange.begin(own, now).state, { _tag: "Wants", places: [] }, now)
    return { own, state: Result.getOrThrow(next).state }
  }
  const forged = (who: number, sequence: number): Uint8Array => {
    const { bytes } = recordOf(who, sequence)
    return bytes.map((byte, i) => (i === 70 ? byte ^ 1 : byte))
  }

  it.each([
    ["a forged record", record(forged(1, 5)), "BadRecord"],
    ["no record at all", record(new Uint8Array(200)), "BadRecord"],
    ["a record that was not asked for", record(recordOf(3, 5).bytes), "Unasked"],
    ["an older record than it has named", record(recordOf(1, 4).bytes), "Unasked"],
    ["a second digest", digest(), "Malformed"],
    ["wants", { _tag: "Wants", places: [] } as const, "Malformed"],
    ["what was asked for", record(recordOf(1, 5).bytes), "AwaitingWanted"],
    ["a newer record than it has named", record(recordOf(1, 6).bytes), "AwaitingWanted"],
    ["nothing more", { _tag: "End" } as const, "Finished"]
  ])("a dialer that sends %s", (_, message, outcome) => {
    const { own, state } = wanting()
    assert.strictEqual(step(own, state, message), outcome)
    if (outcome !== "AwaitingWanted") assert.strictEqual(own.known.entries().size, 0)
  })

  it("a dialer that sends a record twice", () => {
    const { own, state } = wanting()
    const next = Result.getOrThrow(Exchange.step(own, state, record(recordOf(1, 5).bytes), now))
    assert.strictEqual(step(own, next.state, record(recordOf(1, 6).bytes)), "Unasked")
  })

  it.each([
    ["a forged record", record(forged(2, 5)), "BadRecord"],
    ["a record that the digest has", record(recordOf(1, 5).bytes), "Unasked"],
    ["an older record", record(recordOf(1, 4).bytes), "Unasked"],
    ["a digest", digest(), "Malformed"],
    ["a newer record", record(recordOf(1, 6).bytes), "AwaitingTheirs"],
    ["a record that is lacking", record(recordOf(2, 1).bytes), "AwaitingTheirs"],
    ["nothing more", { _tag: "End" } as const, "AwaitingGoodbye"]
  ])("a listener that sends %s", (_, message, outcome) => {
    const { own, state } = lacking()
    assert.strictEqual(step(own, state, message), outcome)
    if (outcome !== "AwaitingTheirs") assert.strictEqual(own.known.entries().size, 1)
  })

  it("a listener that sends more records than an exchange may have", () => {
    let { own, state } = lacking()
    for (let i = 0; i < Wire.maxRecords; i++) {
      state = Result.getOrThrow(Exchange.step(own, state, record(recordOf(1000 + i, 1).bytes), now)).state
    }
    assert.strictEqual(step(own, state, record(recordOf(2, 1).bytes)), "TooMuch")
  })

  it("a listener that asks for what the digest does not have", () => {
    const own = add(node([]), recordOf(1, 5))
    assert.strictEqual(step(own, Exchange.begin(own, now).state, { _tag: "Wants", places: [1] }), "Malformed")
  })

  it("a listener that goes on after its end, and a dialer too", () => {
    assert.strictEqual(step(node([]), { _tag: "AwaitingGoodbye" }, { _tag: "End" }), "Malformed")
    assert.strictEqual(step(node([]), { _tag: "Finished" }, { _tag: "End" }), "Malformed")
  })

  it("a listener that sends a record outside of the section that a digest has named completely", () => {
    const others = Array.from({ length: Wire.maxEntries + 200 }, (_, i) => recordOf(5000 + i, 1))
    const own = add(node([], { others: 3000, random: () => 0 }), ...others)
    const begun = Exchange.begin(own, now)
    const named = new Set(Exchange.digestOf(own, now).entries.map(({ id }) => id))
    const next = Exchange.step(own, begun.state, { _tag: "Wants", places: [] }, now)
    const unnamed = others.find(({ publicKey }) => !named.has(Wire.idOf(publicKey))) ?? recordOf(1, 1)
    assert.strictEqual(step(own, Result.getOrThrow(next).state, record(unnamed.bytes)), "Unasked")
  })

  it("an expired record is dropped, and no fault, because clocks differ", () => {
    const { own, state } = wanting()
    assert.strictEqual(step(own, state, record(recordOf(1, 5, { expires: now }).bytes)), "AwaitingWanted")
    assert.isUndefined(sequenceOf(own, 1))
  })

  it("whatever it sends in whatever state, is at fault or goes on, and forges nothing", () => {
    const outcomes = new Set<string>()
    for (let seed = 1; seed <= 600; seed++) {
      const random = numbers(seed)
      const pick = <A>(all: ReadonlyArray<A>): A => all[Math.floor(random() * all.length)] as A
      const any = (): Wire.Message =>
        pick<Wire.Message>([
          digest(...Array.from({ length: Math.floor(random() * 4) }, (_, i) => recordOf(i, Math.floor(random() * 3)))),
          { _tag: "Wants", places: random() < 0.5 ? [] : [Math.floor(random() * 3)] },
          record(pick([recordOf(1, 2).bytes, recordOf(2, 1).bytes, forged(1, 9), new Uint8Array(90)])),
          { _tag: "End" }
        ])
      const own = add(node([1]), recordOf(1, 1))
      let state = seed % 2 === 0 ? Exchange.listening.state : Exchange.begin(own, now).state
      for (let i = 0; i < 6; i++) {
        const next = Exchange.step(own, state, any(), now)
        outcomes.add(Result.isFailure(next) ? next.failure._tag : next.success.state._tag)
        if (Result.isFailure(next)) break
        state = next.success.state
      }
      assert.isAtMost(sequenceOf(own, 1) ?? 0, 2)
      assert.isAtMost(sequenceOf(own, 2) ?? 0, 1)
    }
    const states = ["AwaitingTheirs", "AwaitingGoodbye", "AwaitingWanted", "Finished"]
    assert.sameMembers([...outcomes], [...states, "Malformed", "Unasked", "BadRecord"])
  })
})
