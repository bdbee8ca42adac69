import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import type * as Codec from "../../src/Codec.ts"
import { lent, plain } from "../../src/codec/rooms.ts"
import * as BoxStream from "../../src/shs/BoxStream.ts"
import * as Frames from "../../src/xk/NoiseFrames.ts"
import { primitives } from "../support/primitives.ts"
import { concat } from "../support/vectors.ts"

const direction = (nonceLength: number) => ({
  key: new Uint8Array(32).fill(7),
  nonce: new Uint8Array(nonceLength).fill(0)
})

const protocols: Record<string, () => Codec.Codec> = {
  shs: () => BoxStream.codec(primitives, { encrypt: direction(24), decrypt: direction(24) }),
  noise: () => Frames.codec(primitives, { encrypt: direction(12), decrypt: direction(12) })
}

const rooms = { ...plain, lent }

const oneOf = <const A extends string | number>(values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.schema(Schema.Literals(values))
const some = <A>(of: Arbitrary.Arbitrary<A>, maxLength: number) => Arbitrary.array(of, { minLength: 1, maxLength })

/** Of bodies, as parts of the longest; of what arrives at once, in bytes, over and over. */
const parts = some(oneOf([0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 1, 1, 1]), 12)
const sizes = some(oneOf([1, 17, 18, 34, 35, 4096, 4130, 5000, 65_535, 65_536, 131_072]), 6)
const places = some(oneOf(["owned", "fresh", "lent"]), 6)

const sealed = ({ sealer }: Codec.Codec, bodies: ReadonlyArray<Uint8Array>): Uint8Array => {
  const end = new Uint8Array(sealer.endLength)
  const frames = bodies.map((body) => {
    const frame = new Uint8Array(sealer.head + body.length + sealer.tail)
    frame.set(body, sealer.head)
    sealer.seal(frame, 0, body.length)
    return frame
  })
  sealer.sealEnd(end, 0)
  return concat([...frames, end])
}

describe.each(Object.entries(protocols))("frames of %s", (_, codec) => {
  it.prop(
    "give the same plaintext however they are cut, wherever it goes, and leave what was given before as it was",
    [parts, sizes, places],
    ([parts, sizes, places]) => {
      const sender = codec()
      const bodies = parts.map((part, i) =>
        new Uint8Array(Math.max(1, Math.floor(part * sender.sealer.maxBody))).fill(i + 1)
      )
      const wire = sealed(sender, bodies)
      const { opener } = codec()
      /** One buffer for all that is lent, as a socket's. */
      const shared = new Uint8Array(Math.max(...sizes))
      const kept: Array<Uint8Array> = []
      let result: "more" | Codec.Verdict = "more"
      // A byte at a time is slow: the rest comes in large pieces.
      for (let from = 0, i = 0; from < wire.length; i++) {
        const size = i < 200 ? (sizes[i % sizes.length] as number) : 50_000
        const part = wire.subarray(from, from + Math.min(size, shared.length))
        from += part.length
        const place = places[i % places.length] as keyof typeof rooms
        const input = place === "owned" ? part.slice() : shared.subarray(0, part.length)
        input.set(part)
        const out: Array<Uint8Array> = []
        result = opener.open(input, out, rooms[place])
        kept.push(...(place === "lent" ? out.map((bytes) => bytes.slice()) : out))
        shared.fill(0xff)
      }
      assert.strictEqual(result, "end")
      assert.isTrue(Buffer.from(concat(bodies)).equals(concat(kept)))
    },
    { arbitrary: { runs: 60 } }
  )
})
