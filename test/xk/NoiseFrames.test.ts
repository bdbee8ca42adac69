import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import type { Verdict } from "../../src/Codec.ts"
import * as Codec from "../../src/Codec.ts"
import { plain } from "../../src/codec/rooms.ts"
import { stageBytes } from "../../src/codec/stage.ts"
import { readBytes } from "../../src/sockets/staticRead.ts"
import * as Frames from "../../src/xk/NoiseFrames.ts"
import { libraries } from "../support/primitives.ts"
import { concat, hex, writeBytes } from "../support/vectors.ts"
import { profile } from "./vectors.ts"

describe.each(libraries)("on $library:", ({ primitives }) => {
  const { fresh, owned } = plain

  const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

  const direction = (key: Uint8Array, count: bigint): Frames.Direction => {
    const nonce = new Uint8Array(12)
    new DataView(nonce.buffer).setBigUint64(4, count, true)
    return { key: key.slice(), nonce }
  }

  const frame = (sealer: Frames.NoiseSealer, body: Uint8Array): Uint8Array => {
    const out = new Uint8Array(sealer.head + body.length + sealer.tail)
    out.set(body, sealer.head)
    sealer.seal(out, 0, body.length)
    return out
  }
  const end = (sealer: Frames.NoiseSealer): Uint8Array => {
    const out = new Uint8Array(sealer.endLength)
    sealer.sealEnd(out, 0)
    return out
  }

  /** What a direction keeps. */
  const state = () => new Uint8Array(Frames.stateLength)
  const keyOf = (kept: Uint8Array) => hex(kept.subarray(0, 32))

  /** Each write in a frame of its own, then the end. */
  const seal = (own: Frames.Direction, writes: ReadonlyArray<Uint8Array>, kept = state()): Uint8Array => {
    const sealer = new Frames.NoiseSealer(primitives, own, kept)
    return concat([...writes.map((write) => frame(sealer, write)), end(sealer)])
  }

  const open = (
    own: Frames.Direction,
    inputs: ReadonlyArray<Uint8Array>,
    room: Codec.Room = owned,
    by = primitives,
    kept = state()
  ): { readonly result: "more" | Verdict; readonly plaintext: Uint8Array } => {
    const opener = Codec.opener(new Frames.NoiseFrames(by, own, kept))
    const out: Array<Uint8Array> = []
    let result: "more" | Verdict = "more"
    for (const input of inputs) {
      const bytes = input.slice()
      result = opener.open(bytes, out, room)
      // What was lent is used again.
      if (!room.inPlace) bytes.fill(0xaa)
      if (result !== "more") break
    }
    return { result, plaintext: concat(out) }
  }

  const cut = (bytes: Uint8Array, size: number): ReadonlyArray<Uint8Array> =>
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))

  describe("noise frames", () => {
    it.each(profile.streams.map((vector) => [vector.id, vector] as const))("seal vector %s", (_, vector) => {
      const kept = state()
      const wire = seal(direction(vector.key, BigInt(vector.nonce)), vector.writes.map(writeBytes), kept)
      assert.strictEqual(wire.length, vector.wire_len)
      assert.strictEqual(sha256(wire), vector.wire_sha256)
      assert.strictEqual(keyOf(kept), hex(vector.last_key))
    })

    it.each(profile.streams.map((vector) => [vector.id, vector] as const))(
      "open vector %s however it is cut",
      (_, vector) => {
        const writes = vector.writes.map(writeBytes)
        const wire = seal(direction(vector.key, BigInt(vector.nonce)), writes)
        const plaintext = hex(concat(writes))
        for (const size of [1, 7, 17, 18, 19, 35, 4130, 65_536, wire.length]) {
          if (size < 17 && wire.length > 20_000) continue
          for (const room of [owned, fresh]) {
            const opened = open(direction(vector.key, BigInt(vector.nonce)), cut(wire, size), room)
            assert.strictEqual(opened.result, "end")
            assert.strictEqual(hex(opened.plaintext), plaintext, `in pieces of ${size}`)
          }
        }
      }
    )

    describe("that are large, opened for a reader who keeps them", () => {
      const { key } = profile.rekey
      // The second of these is the last under its key.
      const first = 2n * 65_536n - 4n
      const bodies = [40_000, Frames.maxBody, 50_000, 100, 32_768].map((length, i) =>
        new Uint8Array(length).fill(i + 1)
      )
      const { aeadLargeOpener: _, ...slow } = primitives

      it("come out whole, across a rekey and between small ones, with and without node:crypto", () => {
        const wire = seal(direction(key, first), bodies)
        for (const by of [primitives, slow]) {
          for (const size of [1000, 32_786, 65_536, 65_553, readBytes, wire.length]) {
            const kept = state()
            const opened = open(direction(key, first), cut(wire, size), fresh, by, kept)
            assert.strictEqual(opened.result, "end")
            assert.strictEqual(Buffer.compare(opened.plaintext, concat(bodies)), 0, `in pieces of ${size}`)
            assert.notStrictEqual(keyOf(kept), hex(key))
          }
        }
      })

      it("are not delivered when a bit of them was flipped, in the body, in the tag, before and after a rekey", () => {
        const wire = seal(direction(key, first), bodies)
        const [one, two] = [18 + 40_000 + 16, 18 + Frames.maxBody + 16]
        for (const [place, delivered] of [
          [18, 0],
          [one - 1, 0],
          [one + 20_000, 40_000],
          [one + two + 18, 40_000 + Frames.maxBody],
          [one + two + 18 + 50_015, 40_000 + Frames.maxBody]
        ] as const) {
          const bad = wire.slice()
          bad[place] = (bad[place] as number) ^ 4
          for (const size of [65_536, bad.length]) {
            const opened = open(direction(key, first), cut(bad, size), fresh)
            assert.strictEqual(opened.result, "tampered")
            assert.strictEqual(opened.plaintext.length, delivered)
          }
        }
      })
    })

    it("take the next key after 65,536 frames, on both sides", () => {
      const { frames, key, last_key, wire_sha256 } = profile.rekey
      const bodies = Array.from({ length: frames }, (_, i) => Uint8Array.of(i & 255))
      const [near, far] = [state(), state()]
      const wire = seal(direction(key, 0n), bodies, near)
      assert.strictEqual(sha256(wire), wire_sha256)
      const opened = open(direction(key, 0n), cut(wire, 65_536), owned, primitives, far)
      assert.strictEqual(opened.result, "end")
      assert.strictEqual(hex(opened.plaintext), hex(concat(bodies)))
      assert.deepStrictEqual([keyOf(near), keyOf(far)], [hex(last_key), hex(last_key)])
      assert.notStrictEqual(hex(last_key), hex(key))
    })

    it.each(profile.failures.map((vector) => [vector.id, vector] as const))("answer vector %s", (_, vector) => {
      for (const size of [1, 5, vector.wire.length]) {
        const { plaintext, result } = open(direction(vector.key, 0n), cut(vector.wire, size))
        // "more" at the end of the stream is what becomes `Truncated`.
        assert.strictEqual(result, vector.expect === "truncated" ? "more" : vector.expect)
        assert.strictEqual(plaintext.length, vector.plaintext_len)
      }
    })

    it("never use a nonce twice: with the last one but the end's, no frame is sealed any more, and none is read", () => {
      const last = 2n ** 64n - 4n
      const key = profile.rekey.key
      const sealer = new Frames.NoiseSealer(primitives, direction(key, last))
      assert.isFalse(sealer.spent)
      const wire = frame(sealer, new Uint8Array(10).fill(7))
      assert.isTrue(sealer.spent)
      const refused = frame(sealer, new Uint8Array(10).fill(7))
      assert.isTrue(refused.every((byte) => byte === 0))
      assert.strictEqual(open(direction(key, last), [wire, refused]).result, "tampered")
      assert.strictEqual(open(direction(key, last), [wire, end(sealer)]).result, "end")
      // A peer that goes on where ours stops: the head of a frame, with the nonce that is left.
      const head = new Uint8Array(18)
      primitives.aeadSeal(head, Uint8Array.of(0, 10), new Uint8Array(0), direction(key, 2n ** 64n - 2n).nonce, key)
      assert.strictEqual(open(direction(key, last), [wire, head]).result, "violation")
    })

    it("give one piece of plaintext for all frames of a read", () => {
      const key = profile.rekey.key
      const bodies = Array.from({ length: 10 }, (_, i) => new Uint8Array(1000 + 37 * i).fill(i))
      const out: Array<Uint8Array> = []
      const opener = Codec.opener(new Frames.NoiseFrames(primitives, direction(key, 0n)))
      assert.strictEqual(opener.open(seal(direction(key, 0n), bodies), out), "end")
      assert.deepStrictEqual(out.map(hex), [hex(concat(bodies))])
    })

    it("fit a stage, with the end behind them, and two of them are what is read at once", () => {
      const longest = Frames.headLength + Frames.maxBody + 16
      assert.isAtMost(longest + Frames.headLength, stageBytes)
      assert.strictEqual(2 * longest, readBytes)
    })

    it("wipe the keys that they are given, and their own in the end", () => {
      const { key } = profile.rekey
      const [encrypt, decrypt] = [direction(key, 0n), direction(key, 0n)]
      Frames.codec(primitives, { encrypt, decrypt })
      assert.isTrue([...encrypt.key, ...decrypt.key].every((byte) => byte === 0))
      const [near, far] = [state(), state()]
      const halves = [
        new Frames.NoiseSealer(primitives, direction(key, 0n), near),
        new Frames.NoiseFrames(primitives, direction(key, 0n), far)
      ]
      assert.deepStrictEqual([keyOf(near), keyOf(far)], [hex(key), hex(key)])
      for (const half of halves) half.wipe()
      assert.isTrue([...near.subarray(0, 32), ...far.subarray(0, 32)].every((byte) => byte === 0))
    })
  })
})
