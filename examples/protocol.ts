import { crc32 } from "node:zlib"
import { Effect, Schema } from "effect"
import { Address, Codec, HandshakeError, Transform } from "effect-multiserver/node"

// `sum`: finds what was damaged on the way. It keeps nothing secret and authenticates nobody.

const head = 6 // the body's length as u16be, its CRC-32 as u32be
const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Each direction is a run of frames, and ends with a head of zeros. */
const codec = (): Codec.Codec => {
  let expected = 0
  return {
    sealer: {
      head,
      tail: 0,
      maxBody: 65_535,
      endLength: head,
      seal: (stage, offset, length) => {
        const body = stage.subarray(offset + head, offset + head + length)
        view(stage).setUint16(offset, length)
        view(stage).setUint32(offset + 2, crc32(body))
      },
      sealEnd: (stage, offset) => stage.fill(0, offset, offset + head)
    },
    opener: Codec.opener({
      head,
      openHead: (bytes) => {
        expected = view(bytes).getUint32(2)
        return view(bytes).getUint16(0) || "end"
      },
      openBody: (body, plain) => {
        if (crc32(body) !== expected) return undefined
        plain.set(body)
        return body.length
      }
    }),
    wipe: () => {}
  }
}

const hello = new TextEncoder().encode("sum1")
const failed = (reason: HandshakeError.HandshakeReason) =>
  new HandshakeError.HandshakeError({ protocol: "sum", phase: "hello", reason })

/** Both sides say hello, then speak frames. */
const upgrade: Transform.Wrap = (link) =>
  Transform.fromCodec(link, (wire) =>
    Effect.gen(function* () {
      yield* wire.write(hello.slice())
      const answer = yield* wire.read(hello.length)
      if (!answer.every((byte, i) => byte === hello[i])) {
        return yield* failed(new HandshakeError.PeerMisbehaved({ detail: "it does not speak sum1" }))
      }
      return { section: new Address.Opaque({ name: "sum", data: "" }), codec: codec() }
    }).pipe(
      Effect.mapError((error) =>
        error._tag === "HandshakeError" ? error : failed(new HandshakeError.Rejected({ after: "hello" }))
      )
    )
  )

/** The transform `sum`, for addresses such as `net:127.0.0.1:8008~sum`. */
export const layer = Transform.layer("sum", {
  section: Address.section("sum", Schema.Literal("")),
  authenticates: false,
  outbound: upgrade,
  inbound: upgrade
})
