/**
 * Makes test/vectors/noise-profile.json without any of this package's code: the handshakes with npm `noise-handshake`,
 * keys, frames and rekeying with node:crypto, and what becomes of the app key with the BLAKE2b of the RFC.
 * Deterministic: `node test/noise/make-vectors.mjs` writes the same file again. It needs Node 22.18 or later.
 */
import crypto from "node:crypto"
import fs from "node:fs"
import { damaged, direction, hex, pattern, profileOf, seal, u16 } from "../xk/making.mjs"
import { prologueOf, protocolName, pskOf, xkpsk0 } from "./xkpsk0.ts"

// ---- frames ----

const key = pattern(32, 31, 4)
const write = (length) => ({ len: length, a: 7, b: length % 251 })
const bytes = ({ a, b, len }) => pattern(len, a, b)
const sha256 = (data) => crypto.createHash("sha256").update(data).digest("hex")

/** One frame for each write, then the end. */
const stream = (id, start, lengths) => {
  const writes = lengths.map(write)
  const to = direction(key, start)
  const wire = Buffer.concat([...writes.map((each) => to.frame(bytes(each))), to.head(0)])
  return {
    id,
    key: hex(key),
    nonce: start.toString(),
    writes,
    wire_len: wire.length,
    wire_sha256: sha256(wire),
    ...(wire.length < 10_000 ? { wire: hex(wire) } : {}),
    last_key: hex(to.key())
  }
}
const streams = [
  stream("end", 0n, []),
  stream("one-byte", 0n, [1]),
  stream("after-accept", 2n, [10, 1, 100]),
  stream("sizes", 0n, [1, 15, 16, 17, 4095, 4096, 4097, 65_518, 65_519]),
  stream("rekey", 131_070n, [10, 10]),
  stream("32-bit-carry", 0xffff_fffen, [10, 10]),
  stream("last-nonces", 2n ** 64n - 6n, [10, 10])
]

/** All frames of a key, the next one, and the end: 65,537 frames of one byte. */
const rekeyed = (() => {
  const to = direction(key, 0n)
  const hash = crypto.createHash("sha256")
  for (let i = 0; i < 65_537; i++) hash.update(to.frame(Buffer.of(i & 255)))
  hash.update(to.head(0))
  return {
    comment: "frame i has the one byte i mod 256",
    key: hex(key),
    frames: 65_537,
    wire_sha256: hash.digest("hex"),
    last_key: hex(to.key())
  }
})()

const half = direction(key, 0n).frame(pattern(10, 7, 10))
const good = Buffer.from(half)
const failures = [
  ["longer-than-65519", seal(key, 0n, u16(65_520)), 0, "violation"],
  ["head-flipped", damaged(good, 3), 0, "tampered"],
  ["head-tag-flipped", damaged(good, 17), 0, "tampered"],
  ["body-flipped", damaged(good, 18), 0, "tampered"],
  ["body-tag-flipped", damaged(good, good.length - 1), 0, "tampered"],
  ["replayed", Buffer.concat([good, good]), 10, "tampered"],
  ["another-length", direction(key, 0n).frame(Buffer.alloc(10), 9), 0, "tampered"],
  ["cut-in-head", good.subarray(0, 17), 0, "truncated"],
  ["cut-after-head", good.subarray(0, 18), 0, "truncated"],
  ["cut-in-body", good.subarray(0, 30), 0, "truncated"],
  ["cut-before-end", good, 10, "truncated"]
].map(([id, wire, plaintext, expect]) => ({ id, key: hex(key), wire: hex(wire), plaintext_len: plaintext, expect }))

fs.writeFileSync(
  new URL("../vectors/noise-profile.json", import.meta.url),
  `${JSON.stringify(
    {
      source: "test/noise/make-vectors.mjs: npm noise-handshake 4.2.0 for the handshakes, node:crypto for the rest",
      protocol: protocolName,
      ...profileOf({ name: "noise", pskOf, prologueOf, side: xkpsk0 }),
      streams,
      rekey: rekeyed,
      failures
    },
    null,
    1
  )}\n`
)
