/**
 * Makes test/vectors/records.json without any of this package's code: records as docs/records.md says, signed by
 * node:crypto. Deterministic: `node test/lookup/make-vectors.mjs` writes the same file again.
 */
import crypto from "node:crypto"
import fs from "node:fs"

const hex = (bytes) => Buffer.from(bytes).toString("hex")
const sha256 = (...parts) => crypto.createHash("sha256").update(Buffer.concat(parts)).digest()

const pairOf = (seed) => {
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed])
  const secret = crypto.createPrivateKey({ key: der, format: "der", type: "pkcs8" })
  const { x } = crypto.createPublicKey(secret).export({ format: "jwk" })
  return { secret, publicKey: Buffer.from(x, "base64url") }
}

const u64 = (value) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}
const u16 = (value) => Buffer.from([value >> 8, value & 255])

const networkOf = (appKey) => sha256(Buffer.from("effect-multiserver/record/1/network\0"), appKey)

/** What is signed. `count` and `version` can be wrong, for records that are refused. */
const body = ({ addresses, appKey, count = addresses.length, expires, publicKey, sequence, version = 1 }) =>
  Buffer.concat([
    Buffer.from([version]),
    networkOf(appKey),
    publicKey,
    u64(sequence),
    u64(expires),
    Buffer.from([count]),
    ...addresses.flatMap((address) => [u16(Buffer.from(address).length), Buffer.from(address)])
  ])

const signed = (bytes, { secret }) =>
  Buffer.concat([
    bytes,
    crypto.sign(null, Buffer.concat([Buffer.from("effect-multiserver/record/1\0"), bytes]), secret)
  ])

const appKey = Buffer.from("1KHLiKZvAvjbY1ziZEHMXawbCEIM6qwjCDm3VYRan/s=", "base64")
const otherAppKey = Buffer.alloc(32, 7)
const seed = Buffer.from(Array.from({ length: 32 }, (_, i) => i))
const alice = pairOf(seed)
const mallory = pairOf(Buffer.alloc(32, 9))

const shs = `shs:${alice.publicKey.toString("base64")}`
const fields = {
  appKey,
  publicKey: alice.publicKey,
  sequence: 1_700_000_000_000,
  expires: 1_700_003_600,
  addresses: [`net:pub.example:8008~${shs}`, `wss://pub.example~${shs}`]
}

const good = [
  { id: "two-addresses", ...fields },
  { id: "no-address", ...fields, addresses: [] },
  { id: "smallest-numbers", ...fields, sequence: 0, expires: 0 },
  { id: "largest-numbers", ...fields, sequence: Number.MAX_SAFE_INTEGER, expires: Number.MAX_SAFE_INTEGER },
  { id: "unknown-protocol", ...fields, addresses: [`quic:pub.example:8008~kyber:${"A".repeat(20)}`] },
  { id: "not-ascii", ...fields, addresses: ["future:müller.example:1"] },
  {
    id: "eight-addresses",
    ...fields,
    addresses: Array.from({ length: 8 }, (_, i) => `net:192.0.2.${i + 1}:8008~${shs}`)
  },
  { id: "exactly-1000-bytes", ...fields, addresses: [`x:${"a".repeat(1000 - 82 - 64 - 2 - 2)}`] },
  { id: "other-network", ...fields, appKey: otherAppKey }
]

const base = body(fields)
const at = (bytes, offset, value) => {
  const out = Buffer.from(bytes)
  out[offset] = value
  return out
}
const flipped = Buffer.from(signed(base, alice))
flipped[flipped.length - 1] ^= 1

const bad = [
  { id: "empty", reason: "Malformed", bytes: Buffer.alloc(0) },
  { id: "shorter-than-a-record", reason: "Malformed", bytes: signed(base, alice).subarray(0, 100) },
  { id: "version-2", reason: "Malformed", bytes: signed(body({ ...fields, version: 2 }), alice) },
  { id: "sequence-2^53", reason: "Malformed", bytes: signed(at(base, 66, 0x20), alice) },
  { id: "expires-2^53", reason: "Malformed", bytes: signed(at(base, 74, 0x20), alice) },
  {
    id: "nine-addresses",
    reason: "Malformed",
    bytes: signed(body({ ...fields, addresses: Array(9).fill("x:1") }), alice)
  },
  { id: "fewer-than-said", reason: "Malformed", bytes: signed(body({ ...fields, count: 3 }), alice) },
  { id: "more-than-said", reason: "Malformed", bytes: signed(body({ ...fields, count: 1 }), alice) },
  { id: "empty-address", reason: "Malformed", bytes: signed(body({ ...fields, addresses: [""] }), alice) },
  { id: "two-in-one", reason: "Malformed", bytes: signed(body({ ...fields, addresses: ["x:1;y:2"] }), alice) },
  { id: "line-feed", reason: "Malformed", bytes: signed(body({ ...fields, addresses: ["x:1\n"] }), alice) },
  { id: "escape-sequence", reason: "Malformed", bytes: signed(body({ ...fields, addresses: ["x:\u001b[2J"] }), alice) },
  { id: "no-utf-8", reason: "Malformed", bytes: signed(at(body({ ...fields, addresses: ["x:11"] }), 86, 0xff), alice) },
  {
    id: "1001-bytes",
    reason: "TooLarge",
    bytes: signed(body({ ...fields, addresses: [`x:${"a".repeat(851)}`] }), alice)
  },
  { id: "signed-by-another", reason: "Forged", bytes: signed(base, mallory) },
  { id: "signature-flipped", reason: "Forged", bytes: flipped },
  { id: "without-label", reason: "Forged", bytes: Buffer.concat([base, crypto.sign(null, base, alice.secret)]) },
  { id: "small-order-key", reason: "Forged", bytes: signed(body({ ...fields, publicKey: Buffer.alloc(32) }), alice) }
]

const vectors = {
  seed: hex(seed),
  public_key: hex(alice.publicKey),
  good: good.map(({ id, ...own }) => ({
    id,
    app_key: hex(own.appKey),
    network: hex(networkOf(own.appKey)),
    sequence: own.sequence,
    expires: own.expires,
    addresses: own.addresses,
    bytes: hex(signed(body(own), alice))
  })),
  bad: bad.map(({ bytes, ...own }) => ({ ...own, bytes: hex(bytes) }))
}
fs.writeFileSync(new URL("../vectors/records.json", import.meta.url), `${JSON.stringify(vectors, null, 2)}\n`)
