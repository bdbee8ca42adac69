/** The handshake core against the framework's public vectors: its patterns and hashes are data here. */
import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { Hkdf } from "../../src/xk/hkdf.ts"
import * as Noise from "../../src/xk/NoiseHandshake.ts"
import { libraries } from "../support/primitives.ts"
import { hex } from "../support/vectors.ts"
import { withPsks, XK } from "./patterns.ts"
import { type Public, publicVectors } from "./vectors.ts"

describe.each(libraries)("on $library:", ({ library, primitives }) => {
  /** JavaScript takes 20 times as long for a message: it gets every eleventh of the changes, libsodium all of them. */
  const step = library === "noble" ? 11 : 1

  const NN: Noise.Pattern = { name: "NN", known: [], messages: [["e"], ["e", "ee"]] }
  const NK: Noise.Pattern = {
    name: "NK",
    known: ["responder"],
    messages: [
      ["e", "es"],
      ["e", "ee"]
    ]
  }
  const XX: Noise.Pattern = { name: "XX", known: [], messages: [["e"], ["e", "ee", "s", "es"], ["s", "se"]] }
  const patterns: ReadonlyArray<Noise.Pattern> = [
    XK,
    NK,
    XX,
    {
      name: "IK",
      known: ["responder"],
      messages: [
        ["e", "es", "s", "ss"],
        ["e", "ee", "se"]
      ]
    },
    { name: "XK1", known: ["responder"], messages: [["e"], ["e", "ee", "es"], ["s", "se"]] },
    withPsks(NN, 0),
    withPsks(NK, 0),
    withPsks(XK, 3),
    withPsks(XX, 3),
    withPsks(XK, 0, 3)
  ]
  const hashes: ReadonlyArray<Noise.Hash> = [
    Noise.blake2b(primitives),
    {
      name: "SHA256",
      length: 32,
      blockLength: 64,
      digest: (out, message) => out.set(createHash("sha256").update(message).digest())
    }
  ]

  const keyPair = (secretKey: Uint8Array) => ({
    secretKey: secretKey.slice(),
    publicKey: primitives.x25519PublicKey(secretKey)
  })
  const pair = (secretKey: Uint8Array): Noise.Pair => ({
    publicKey: primitives.x25519PublicKey(secretKey),
    agree: (publicKey) => primitives.x25519(secretKey, publicKey)
  })

  const named = <A extends { readonly name: string }>(all: ReadonlyArray<A>, name: string | undefined): A => {
    const found = all.find((each) => each.name === name)
    return found ?? assert.fail(`no ${name}`)
  }

  /** The pre-shared secrets, of which most patterns have none. */
  const psksOf = ({ init_psks = [] }: Public) => init_psks

  /** Both sides of a vector. The responder may have other secrets than the vector's. */
  const sides = (vector: Public, psks = vector.resp_psks) => {
    const [, pattern, , , hash] = vector.protocol_name.split("_")
    const protocol = new Noise.Protocol(primitives, named(patterns, pattern), named(hashes, hash))
    const initiator = new Noise.NoiseHandshake({
      protocol,
      role: "initiator",
      prologue: vector.init_prologue,
      ephemeral: () => keyPair(vector.init_ephemeral),
      local: vector.init_static && pair(vector.init_static),
      remote: vector.init_remote_static,
      psks: psksOf(vector)
    })
    const responder = new Noise.NoiseHandshake({
      protocol,
      role: "responder",
      prologue: vector.resp_prologue,
      ephemeral: () => keyPair(vector.resp_ephemeral),
      local: vector.resp_static && pair(vector.resp_static),
      remote: undefined,
      psks: psks ?? []
    })
    return { pattern: protocol.pattern, initiator, responder }
  }

  const nothing = new Uint8Array(0)
  /** The `count`th message of a direction after the handshake. */
  const sealed = (key: Uint8Array, count: number, message: Uint8Array) => {
    const out = new Uint8Array(message.length + 16)
    const nonce = new Uint8Array(12)
    nonce[4] = count
    primitives.aeadSeal(out, message, nothing, nonce, key)
    return out
  }

  describe("the Noise handshake", () => {
    it.each(publicVectors.map((vector) => [vector.protocol_name, vector] as const))(
      "follows the public vector of %s to the byte, both roles",
      (_, vector) => {
        const { initiator, pattern, responder } = sides(vector)
        const sent = new Map<unknown, number>()
        let turn = 0
        let keys: { readonly initiator: Noise.Keys; readonly responder: Noise.Keys } | undefined
        for (const { ciphertext, payload } of vector.messages) {
          const fromInitiator = turn % 2 === 0
          if (turn < pattern.messages.length) {
            const [from, to] = fromInitiator ? [initiator, responder] : [responder, initiator]
            assert.strictEqual(hex(Result.getOrThrow(from.write(payload))), hex(ciphertext))
            assert.strictEqual(hex(Result.getOrThrow(to.read(ciphertext))), hex(payload))
          } else {
            keys ??= { initiator: initiator.split(), responder: responder.split() }
            const [from, to] = fromInitiator ? [keys.initiator, keys.responder] : [keys.responder, keys.initiator]
            const count = sent.get(from) ?? 0
            sent.set(from, count + 1)
            assert.strictEqual(hex(from.send), hex(to.receive))
            assert.strictEqual(hex(from.hash), hex(to.hash))
            if (vector.handshake_hash !== undefined) assert.strictEqual(hex(from.hash), hex(vector.handshake_hash))
            assert.strictEqual(hex(sealed(from.send, count, payload)), hex(ciphertext))
          }
          turn++
        }
        assert.isAbove(turn, pattern.messages.length)
      }
    )

    it.each(publicVectors.map((vector) => [vector.protocol_name, vector] as const))(
      "of %s refuses each message with any byte changed, and any that is cut",
      (_, vector) => {
        const { pattern } = sides(vector)
        for (let index = 0; index < pattern.messages.length; index++) {
          const { ciphertext } = vector.messages[index] as Public["messages"][number]
          const heard = (message: Uint8Array) => {
            const { initiator, responder } = sides(vector)
            for (let before = 0; before < index; before++) {
              const [from, to] = before % 2 === 0 ? [initiator, responder] : [responder, initiator]
              const { ciphertext, payload } = vector.messages[before] as Public["messages"][number]
              Result.getOrThrow(from.write(payload))
              Result.getOrThrow(to.read(ciphertext))
            }
            return (index % 2 === 0 ? responder : initiator).read(message)
          }
          assert.isTrue(Result.isSuccess(heard(ciphertext)))
          // The first message of XX and XK1 has no key yet, unless ephemeral keys are mixed: it is found out with the
          // next one.
          if (pattern.messages[index]?.join() === "e" && psksOf(vector).length === 0) {
            for (let cut = 0; cut < 32; cut++) assert.isTrue(Result.isFailure(heard(ciphertext.subarray(0, cut))))
            continue
          }
          for (let at = 0; at < ciphertext.length; at += step) {
            const changed = ciphertext.slice()
            changed[at] = (changed[at] as number) ^ (1 << (at & 7))
            assert.isTrue(Result.isFailure(heard(changed)), `message ${index}, byte ${at}`)
            assert.isTrue(Result.isFailure(heard(ciphertext.subarray(0, at))), `message ${index}, cut at ${at}`)
          }
        }
      }
    )

    it.each(
      publicVectors
        .filter((vector) => psksOf(vector).length > 0)
        .map((vector) => [vector.protocol_name, vector] as const)
    )(
      "of %s gets no further than the first message that a pre-shared secret seals, when it is another one",
      (_, vector) => {
        const psks = psksOf(vector)
        const { pattern } = sides(vector)
        for (const [which, psk] of psks.entries()) {
          const others = [
            psks.with(
              which,
              psk.map((byte) => byte ^ 1)
            ),
            psks.slice(0, which)
          ]
          for (const other of others) {
            const { initiator, responder } = sides(vector, other)
            let mixed = 0
            let refused = -1
            for (const [turn, tokens] of pattern.messages.entries()) {
              const { ciphertext, payload } = vector.messages[turn] as Public["messages"][number]
              const [from, to] = turn % 2 === 0 ? [initiator, responder] : [responder, initiator]
              mixed += tokens.filter((token) => token === "psk").length
              Result.getOrThrow(from.write(payload))
              const heard = to.read(ciphertext)
              if (Result.isFailure(heard)) {
                refused = turn
                break
              }
              assert.isAtMost(mixed, which, `message ${turn} opened with another secret ${which}`)
            }
            assert.isAtLeast(refused, 0)
          }
        }
      }
    )

    it("leaves nothing of a key in the memory that derives it", () => {
      const seen: Array<Uint8Array> = []
      const blake2b = Noise.blake2b(primitives)
      const hkdf = new Hkdf(primitives, {
        ...blake2b,
        digest: (out, message) => {
          seen.push(out, message)
          blake2b.digest(out, message)
        }
      })
      const [chaining, key] = [new Uint8Array(64).fill(1), new Uint8Array(32)]
      hkdf.derive(chaining, new Uint8Array(32).fill(2), key)
      const scratch = seen.filter((bytes) => bytes !== chaining)
      assert.strictEqual(scratch.length, 11)
      assert.isTrue(scratch.every((bytes) => bytes.every((byte) => byte === 0)))
      assert.isFalse([...chaining, ...key].every((byte) => byte === 0))
    })

    it("leaves nothing of it there when three are derived", () => {
      const seen = new Set<Uint8Array>()
      const blake2b = Noise.blake2b(primitives)
      const hkdf = new Hkdf(primitives, {
        ...blake2b,
        digest: (out, message) => {
          seen.add(out).add(message)
          blake2b.digest(out, message)
        }
      })
      const [chaining, second, third] = [new Uint8Array(64).fill(1), new Uint8Array(64), new Uint8Array(32)]
      hkdf.derive(chaining, new Uint8Array(32).fill(2), second, third)
      for (const bytes of seen) if (bytes !== chaining) assert.isTrue(bytes.every((byte) => byte === 0))
      assert.strictEqual(new Set([chaining, second, third].map((key) => hex(key.subarray(0, 32)))).size, 3)
    })

    it("knows the vectors of ten patterns with two hashes", () => {
      assert.strictEqual(publicVectors.length, 20)
    })
  })
})
