/** Frames that are cut anew: what `ws` makes of them is what it would have made of the others, and it keeps nothing. */
import { assert, describe, it } from "vitest"
import { Recut } from "../../src/ws/recut.ts"
import { Random } from "../fuzz/random.ts"
import * as Wire from "../fuzz/websocketWire.ts"
import { pattern, sameBytes } from "../support/servers.ts"

/** What comes of a stream that arrives in pieces, each of which is cut until it is used up. */
const recut = (
  pieces: ReadonlyArray<Uint8Array>,
  rules: ConstructorParameters<typeof Recut>[0],
  framesATurn = Number.POSITIVE_INFINITY
) => {
  const fed: Array<Buffer> = []
  const cutter = new Recut(rules, (bytes) => fed.push(Buffer.from(bytes)))
  let turns = 0
  for (const piece of pieces) {
    let rest = Buffer.from(piece)
    while (rest.length > 0) {
      turns++
      cutter.begun = 0
      rest = rest.subarray(cutter.cut(rest, framesATurn))
    }
  }
  return { wire: Buffer.concat(fed), cutter, turns }
}

const frame = (payload: Uint8Array, { fin = true, masked = true, opcode = Wire.opcodes.binary as number } = {}) =>
  Wire.encode({ fin, rsv: 0, opcode, masked, payload })

describe("frames that are cut anew", () => {
  for (const fromClient of [true, false]) {
    it(`come to the same as before, however they arrive, from a ${fromClient ? "client" : "server"}`, () => {
      for (let seed = 1; seed <= 500; seed++) {
        const random = new Random(seed, 1)
        const wire = Wire.conversation(random, fromClient)
        const rules = { fromClient, maxMessage: 4096 }
        const before = Wire.read(wire, rules)
        const pieces = random.cut(wire)
        const { wire: after } = recut(pieces, rules, random.pick([1, 3, 64]))
        const { bytes, ending, pings } = Wire.read(after, rules)
        assert.isTrue(sameBytes(bytes, before.bytes), `the bytes of ${seed}`)
        assert.strictEqual(ending, before.ending, `the end of ${seed}`)
        assert.deepStrictEqual(pings, before.pings, `the pings of ${seed}`)
      }
    })
  }

  it("are whole messages, as long as what has come of one", () => {
    const body = pattern(1 << 20)
    const wire = frame(body)
    const pieces = [wire.slice(0, 3), wire.slice(3, 70_000), wire.slice(70_000)]
    const { wire: after } = recut(pieces, { fromClient: true, maxMessage: 1 << 24 })
    const frames = Wire.framesOf(after)
    assert.deepStrictEqual(
      frames.map(({ fin, opcode, payload }) => [fin, opcode, payload.length]),
      [
        [true, 2, 70_000 - 14],
        [true, 2, (1 << 20) - 70_000 + 14]
      ]
    )
    assert.isTrue(sameBytes(Buffer.concat(frames.map(({ payload }) => payload)), body))
  })

  it("are fragments no more, and each message is as long as it may be, in all of its fragments", () => {
    const parts = [frame(pattern(600), { fin: false }), frame(pattern(600), { fin: false, opcode: 0 })]
    const rules = { fromClient: true, maxMessage: 1500 }
    const end = frame(pattern(300), { opcode: 0 })
    const right = Wire.read(recut([...parts, end], rules).wire, rules)
    assert.deepStrictEqual([right.bytes.length, right.ending], [1500, "Truncated"])
    const wrong = Wire.read(recut([...parts, frame(pattern(301), { opcode: 0 })], rules).wire, rules)
    assert.deepStrictEqual([wrong.bytes.length, wrong.ending], [1200, "ProtocolViolation"])
  })

  it("begin no faster than they may in a turn", () => {
    const wire = Buffer.concat(Array.from({ length: 1000 }, (_, i) => frame(pattern(i % 3))))
    const { turns } = recut([wire], { fromClient: true, maxMessage: 100 }, 64)
    assert.strictEqual(turns, Math.ceil(1000 / 64))
  })

  it("are counted where they carry nothing", () => {
    const frames = [
      frame(pattern(3)),
      frame(pattern(0)),
      frame(pattern(3), { opcode: Wire.opcodes.ping }),
      frame(pattern(0), { opcode: Wire.opcodes.pong }),
      frame(pattern(0), { fin: false }),
      frame(pattern(9), { opcode: 0 })
    ]
    const wire = Buffer.concat(frames)
    assert.strictEqual(recut([wire], { fromClient: true, maxMessage: 100 }).cutter.idle, 4)
    const bytes = Array.from(wire, (byte) => Uint8Array.of(byte))
    assert.strictEqual(recut(bytes, { fromClient: true, maxMessage: 100 }).cutter.idle, 4)
  })
})
