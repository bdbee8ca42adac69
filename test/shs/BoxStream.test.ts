import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import type { Verdict } from "../../src/Codec.ts"
import { BoxSealer, boxOpener, headerLength, maxBody } from "../../src/shs/BoxStream.ts"
import { libraries } from "../support/primitives.ts"
import { boxFailures, boxStreams, concat, hex, writeBytes } from "../support/vectors.ts"

describe.each(libraries)("on $library:", ({ primitives }) => {
  /** Each write in packets of its own, then the goodbye: the form in which the vectors were made. */
  const seal = (direction: { key: Uint8Array; nonce: Uint8Array }, writes: ReadonlyArray<Uint8Array>): Uint8Array => {
    const sealer = new BoxSealer(primitives, direction)
    const frames = writes.flatMap((write) =>
      Array.from({ length: Math.ceil(write.length / maxBody) }, (_, i) => {
        const body = write.subarray(i * maxBody, (i + 1) * maxBody)
        const frame = new Uint8Array(headerLength + body.length)
        frame.set(body, headerLength)
        sealer.seal(frame, 0, body.length)
        return frame
      })
    )
    const end = new Uint8Array(headerLength)
    sealer.sealEnd(end, 0)
    return concat([...frames, end])
  }

  const open = (
    direction: { key: Uint8Array; nonce: Uint8Array },
    inputs: ReadonlyArray<Uint8Array>,
    longest?: number
  ): { readonly result: "more" | Verdict; readonly plaintext: Uint8Array } => {
    const opener = boxOpener(primitives, direction, longest)
    const out: Array<Uint8Array> = []
    let result: "more" | Verdict = "more"
    for (const input of inputs) {
      result = opener.open(input.slice(), out)
      if (result !== "more") break
    }
    return { result, plaintext: concat(out) }
  }

  const cut = (bytes: Uint8Array, size: number): ReadonlyArray<Uint8Array> =>
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))

  describe("box stream", () => {
    it.each(boxStreams.map((vector) => [vector.id, vector] as const))("seals vector %s", (_, vector) => {
      const wire = vector.wire ?? vector.wire_base64
      assert.strictEqual(hex(seal(vector, vector.writes.map(writeBytes))), hex(wire as Uint8Array))
    })

    it.each(boxStreams.map((vector) => [vector.id, vector] as const))(
      "opens vector %s however it is cut",
      (_, vector) => {
        const wire = (vector.wire ?? vector.wire_base64) as Uint8Array
        const plaintext = hex(concat(vector.writes.map(writeBytes)))
        for (const size of [1, 7, 33, 34, 35, 4129, 4130, 65536, wire.length]) {
          if (size < 33 && wire.length > 20_000) continue
          const opened = open(vector, cut(wire, size))
          assert.strictEqual(opened.result, "end")
          assert.strictEqual(hex(opened.plaintext), plaintext)
        }
      }
    )

    it.each(boxFailures.map((vector) => [vector.id, vector] as const))("answers vector %s", (_, vector) => {
      const incoming = vector.incoming ?? vector.incoming_base64 ?? []
      const whole = concat(incoming)
      for (const inputs of [incoming, [whole], cut(whole, 1000)]) {
        const { plaintext, result } = open(vector, inputs)
        // "more" at the end of the stream is what becomes `Truncated`.
        if (vector.expect.result === "clean-end") assert.strictEqual(result, "end")
        if (vector.expect.result === "error") assert.include(["more", "tampered", "violation"], result)
        if (vector.expect.result === "policy") assert.strictEqual(result, "violation")
        if (vector.expect.result === "policy") continue
        assert.strictEqual(plaintext.length, vector.expect.plaintext_before_len)
        assert.strictEqual(createHash("sha256").update(plaintext).digest("hex"), vector.expect.plaintext_before_sha256)
      }
    })

    it("reads longer bodies, whole, when it is told to", () => {
      const policies = boxFailures.filter((vector) => vector.expect.result === "policy")
      assert.isAbove(policies.length, 0)
      for (const vector of policies) {
        const inputs = vector.incoming ?? vector.incoming_base64 ?? []
        assert.notStrictEqual(open(vector, inputs, 65535).result, "violation")
        assert.isAbove(open(vector, inputs, 65535).plaintext.length, maxBody)
      }
    })

    it("gives one piece of plaintext for all packets of a read", () => {
      const direction = { key: primitives.random(32), nonce: primitives.random(24) }
      const wire = seal(direction, [new Uint8Array(40_000).fill(7)])
      const out: Array<Uint8Array> = []
      assert.strictEqual(boxOpener(primitives, direction).open(wire, out), "end")
      assert.deepStrictEqual(
        out.map((piece) => piece.length),
        [40_000]
      )
    })
  })
})
