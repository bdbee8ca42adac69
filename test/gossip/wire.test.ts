/** The messages of gossip as bytes. */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { maxBytes } from "../../src/AddressRecord.ts"
import type { Fault } from "../../src/gossip/fault.ts"
import * as Wire from "../../src/gossip/wire.ts"
import { numbers } from "./support.ts"

const Entry = Schema.Struct({
  who: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 32 - 1 })),
  high: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 21 - 1 })),
  isOnOffer: Schema.Boolean
})

const Plan = Schema.Struct({
  kind: Schema.Literals(["Digest", "Wants", "Record", "End"]),
  entries: Schema.Array(Entry),
  seed: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 }))
})

const idOfNumber = (who: number): Wire.Id => {
  const bytes = new Uint8Array(16)
  new DataView(bytes.buffer).setUint32(12, who)
  return Wire.idOf(bytes)
}

const messageOf = ({ entries, kind, seed }: typeof Plan.Type): Wire.Message => {
  switch (kind) {
    case "Digest": {
      const distinct = [...new Map(entries.map((each) => [each.who, each])).values()]
      return {
        _tag: "Digest",
        from: idOfNumber(seed),
        until: idOfNumber(seed + 1),
        entries: distinct.map(({ high, isOnOffer, who }) => ({
          id: idOfNumber(who),
          sequence: high * 2 ** 32 + who,
          isOnOffer
        }))
      }
    }
    case "Wants":
      return { _tag: "Wants", places: [...new Set(entries.map(({ who }) => who % 1000))].sort((a, b) => a - b) }
    case "Record": {
      const random = numbers(seed)
      return { _tag: "Record", bytes: Uint8Array.from({ length: seed % (maxBytes + 1) }, () => random() * 256) }
    }
    case "End":
      return { _tag: "End" }
  }
}

/** Reads all frames. */
const readAll = (frames: Wire.Frames, chunks: ReadonlyArray<Uint8Array>) => {
  const messages: Array<Wire.Message> = []
  let fault: Fault | undefined
  for (const chunk of chunks) {
    fault ??= frames.read(chunk, (frame) => {
      const message = Wire.read(frame)
      if (Result.isFailure(message)) return message.failure
      messages.push(message.success)
      return undefined
    })
  }
  return { messages, fault }
}

const frameOf = (...bytes: ReadonlyArray<number>): Uint8Array =>
  Uint8Array.of(bytes.length >> 8, bytes.length & 255, ...bytes)

const filled = (length: number, ...head: ReadonlyArray<number>): Uint8Array => {
  const frame = new Uint8Array(2 + length)
  new DataView(frame.buffer).setUint16(0, length)
  frame.set(head, 2)
  return frame
}

describe("the messages of gossip", () => {
  it.prop(
    "come back as they were, however their bytes are split",
    { all: Arbitrary.array(Arbitrary.schema(Plan), { minLength: 1, maxLength: 6 }) },
    ({ all }) => {
      const messages = all.map(messageOf)
      const bytes = Wire.write(messages)
      const random = numbers(bytes.length)
      const chunks: Array<Uint8Array> = []
      for (let at = 0; at < bytes.length; ) {
        const end = at + 1 + Math.floor(random() * (random() < 0.5 ? 3 : 2000))
        chunks.push(bytes.slice(at, end))
        at = end
      }
      assert.deepStrictEqual(readAll(new Wire.Frames(), chunks), { messages, fault: undefined })
    }
  )

  it("are read from any bytes without a throw, and no frame is longer than it may be", () => {
    const tags = new Set<string>()
    for (let seed = 0; seed < 3000; seed++) {
      const random = numbers(seed)
      const length = Math.floor(random() * 300)
      const frame = Uint8Array.from({ length }, () => random() * 256)
      // Half of them have a kind that there is, and half of the digests the right version and length.
      if (seed % 2 === 0) frame[0] = 1 + Math.floor(random() * 4)
      if (seed % 4 === 0) frame[1] = 1
      const message = Wire.read(seed % 4 === 0 ? frame.subarray(0, 34 + 24 * (seed % 7)) : frame)
      tags.add(Result.isSuccess(message) ? message.success._tag : message.failure._tag)
    }
    assert.includeMembers([...tags], ["Digest", "Wants", "Record", "Malformed"])
  })

  it.each([
    ["an empty frame", Uint8Array.of(0, 0), "Malformed"],
    ["a frame of more than a digest's length, before its bytes", Uint8Array.of(0xff, 0xff), "TooMuch"],
    ["one byte more than a digest may have", filled(Wire.maxFrame + 1, 1, 1).subarray(0, 2), "TooMuch"],
    ["an unknown kind", frameOf(9), "Malformed"],
    ["a digest of another version", filled(34, 1, 2), "Malformed"],
    ["a digest with half an entry", filled(34 + 12, 1, 1), "Malformed"],
    ["a digest that names an id twice", filled(34 + 48, 1, 1), "Malformed"],
    ["a sequence above 2^53 - 1", filled(34 + 24, 1, 1, ...new Array(48).fill(0), 0x7f), "Malformed"],
    ["half a place", frameOf(2, 0), "Malformed"],
    ["places that don't rise", frameOf(2, 0, 1, 0, 1), "Malformed"],
    ["more places than records are sent", filled(1 + 2 * (Wire.maxRecords + 1), 2), "TooMuch"],
    ["a record that is too long", filled(1 + maxBytes + 1, 3), "TooMuch"],
    ["an end with more", frameOf(4, 0), "Malformed"]
  ])("are at fault: %s", (_, bytes, tag) => {
    assert.strictEqual(readAll(new Wire.Frames(), [bytes]).fault?._tag, tag)
  })

  it("are at fault at the first bad frame, and the rest is not read", () => {
    const { fault, messages } = readAll(new Wire.Frames(), [Uint8Array.of(0, 1, 4, 0, 1, 9, 0, 1, 4)])
    assert.deepStrictEqual(messages, [{ _tag: "End" }])
    assert.strictEqual(fault?._tag, "Malformed")
  })
})
