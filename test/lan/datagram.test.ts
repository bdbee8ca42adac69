/** The announcements of ssb-lan as bytes, those that it reads and those that somebody has tampered with. */
import { createRequire } from "node:module"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Address from "../../src/Address.ts"
import { formatPublicKey, type KeyPair } from "../../src/Identity.ts"
import * as Datagram from "../../src/lan/datagram.ts"
import { pattern } from "../support/servers.ts"
import { addressAt, keyPair, network } from "./support.ts"

const ssbKeys: {
  readonly generate: () => { readonly public: string }
  readonly secretBox: (message: object, key: Buffer) => Buffer
  readonly secretUnbox: (box: Buffer, key: Buffer) => unknown
  readonly signObj: (keys: object, message: object) => { readonly signature: string }
  readonly verifyObj: (keys: object, message: object) => boolean
} = createRequire(import.meta.url)("ssb-keys")

const here = "192.168.1.7"

const parsed = (text: string) => Result.getOrThrow(Address.parse(text))

const signed = (pair: KeyPair, text: string) => Datagram.writeSigned(network, pair, text)

describe("a signed announcement", () => {
  it.effect("is what ssb-keys seals and signs", () =>
    Effect.gen(function* () {
      const pair = yield* keyPair
      const text = addressAt(here, pair)
      const bytes = Buffer.from(signed(pair, text))
      const caps = Buffer.from(network.appKey)
      assert.deepStrictEqual(ssbKeys.secretUnbox(bytes.subarray(0, -64), caps), { address: text })
      const signature = `${bytes.subarray(-64).toString("base64")}.sig.ed25519`
      const ofKey = { public: `${formatPublicKey(pair.publicKey)}.ed25519` }
      assert.isTrue(ssbKeys.verifyObj(ofKey, { address: text, signature }))

      const keys = ssbKeys.generate()
      const address = `net:${here}:8008~shs:${keys.public.replace(".ed25519", "")}`
      const sealed = ssbKeys.secretBox({ address }, caps)
      const own = Buffer.from(ssbKeys.signObj(keys, { address }).signature.replace(".sig.ed25519", ""), "base64")
      const read = Datagram.readSigned(network, Buffer.concat([sealed, own]), here)
      assert.deepStrictEqual([read?.addresses, read?.isSigned], [[address], true])
    })
  )

  it.effect("is read only as its signer wrote it, in its network, and with the addresses of its sender", () =>
    Effect.gen(function* () {
      const [pair, other] = [yield* keyPair, yield* keyPair]
      const read = (bytes: Uint8Array, sender = here) => Datagram.readSigned(network, bytes, sender)
      const text = addressAt(here, pair)
      const bytes = signed(pair, text)
      assert.deepStrictEqual(read(bytes)?.addresses, [text])

      assert.isUndefined(read(bytes, "192.168.1.8"), "another sender")
      assert.isUndefined(read(signed(other, text)), "another signer")
      for (let at = 0; at < bytes.length; at++) {
        const changed = bytes.slice()
        changed[at] = 1 ^ (changed[at] ?? 0)
        assert.isUndefined(read(changed), `byte ${at}`)
      }
      for (let length = 0; length < bytes.length; length++) assert.isUndefined(read(bytes.subarray(0, length)))
      const elsewhere = { ...network, appKey: new Uint8Array(32) }
      assert.isUndefined(read(Datagram.writeSigned(elsewhere, pair, text)), "another network")
      assert.isUndefined(read(new Uint8Array(Datagram.maxBytes + 1)), "too long")

      const mixed = [
        addressAt("192.168.1.9", pair),
        text,
        addressAt(here, other),
        `net:${here}:8008`,
        `${text}:${Buffer.alloc(32, 1).toString("base64")}`,
        `ws://${here}:8989~noise:${formatPublicKey(pair.publicKey)}`
      ]
      assert.deepStrictEqual(read(signed(pair, mixed.join(";")))?.addresses, [text, ...mixed.slice(5)])
      for (const bad of ["", "net", `onion:example.onion:1~shs:${formatPublicKey(pair.publicKey)}`, `${text};;`]) {
        assert.isUndefined(read(signed(pair, bad)), bad)
      }
      const many = Array.from({ length: 9 }, (_, i) => addressAt(here, pair, 9000 + i))
      assert.strictEqual(read(signed(pair, many.join(";")))?.addresses.length, 8)
    })
  )

  it.effect("has as many addresses as fit, from the first on", () =>
    Effect.gen(function* () {
      const pair = yield* keyPair
      const key = formatPublicKey(pair.publicKey)
      const [noise, shs] = [`net:${here}:1~noise:${key}`, `net:${here}:1~shs:${key}`]
      assert.strictEqual(Datagram.textOf([noise, shs].flatMap(parsed)), `${noise};${shs}`)
      assert.isUndefined(Datagram.textOf([]))
      const long = Array.from({ length: 8 }, (_, i) => `ws://${here}:${i + 1}/${"p".repeat(300)}~shs:${key}`)
      const text = Datagram.textOf(long.flatMap(parsed)) ?? ""
      assert.strictEqual(text.split(";").length, 3)
      assert.isAtMost(signed(pair, text).length, Datagram.maxBytes)
      assert.isUndefined(Datagram.textOf(parsed(`ws://${here}/${"p".repeat(1400)}~shs:${key}`)))
    })
  )
})

describe("any text", () => {
  it.effect("is read or not, and nothing is thrown", () =>
    Effect.gen(function* () {
      const pair = yield* keyPair
      const text = `${addressAt(here, pair)};ws://${here}~noise:${formatPublicKey(pair.publicKey)}`
      const bytes = new TextEncoder().encode(text)
      let read = 0
      for (let i = 0; i < 2000; i++) {
        const noise = pattern(bytes.length, i + 1)
        const changed = bytes.map((byte, at) => ((noise[at] ?? 0) < 2 ? (noise[at - 1] ?? 0) : byte))
        const own = new TextDecoder().decode(changed.subarray(0, i % 10 === 0 ? noise[0] : bytes.length))
        if (Datagram.readUnsigned(Datagram.writeUnsigned(own), here)) read++
        if (Datagram.readSigned(network, signed(pair, own), here)) read++
      }
      assert.isAbove(read, 0)
      for (const json of ["", "null", "[]", "7", '{"address":7}', "[".repeat(1300)]) {
        const raw = new TextEncoder().encode(json)
        const boxed = new Uint8Array(16 + raw.length + 64)
        const box = boxed.subarray(0, 16 + raw.length)
        network.primitives.boxSeal(box, raw, network.appKey.subarray(0, 24), network.appKey)
        assert.isUndefined(Datagram.readSigned(network, boxed, here), json)
      }
    })
  )
})

describe("an unsigned announcement", () => {
  it.effect("is an address as text, of its sender", () =>
    Effect.gen(function* () {
      const pair = yield* keyPair
      const text = addressAt(here, pair)
      const bytes = Datagram.writeUnsigned(text)
      assert.deepStrictEqual(Datagram.readUnsigned(bytes, here), {
        publicKey: pair.publicKey,
        addresses: [text],
        isSigned: false
      })
      assert.isUndefined(Datagram.readUnsigned(bytes, "192.168.1.8"))
      assert.isUndefined(Datagram.readUnsigned(Uint8Array.of(0xff, 0xfe), here))
      assert.isUndefined(Datagram.readUnsigned(new Uint8Array(Datagram.maxBytes + 1), here))
    })
  )
})
