/** flynn/noise's own vectors of XK, alone and with a pre-shared secret in each place, against our handshake core. */
import { assert } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Noise from "../../../src/xk/NoiseHandshake.ts"
import { primitives } from "../../support/primitives.ts"
import { hex, unhex } from "../../support/vectors.ts"
import { withPsks, XK } from "../../xk/patterns.ts"

const parse = (block: string): ReadonlyMap<string, string> =>
  new Map(
    block.split("\n").flatMap((line) => {
      const [name, value] = line.split("=")
      return name === undefined || value === undefined ? [] : [[name, value] as const]
    })
  )

const bytes = (vector: ReadonlyMap<string, string>, name: string): Uint8Array => unhex(vector.get(name) ?? "")

const check = (vector: ReadonlyMap<string, string>, pattern: Noise.Pattern) => {
  const protocol = new Noise.Protocol(primitives, pattern, Noise.blake2b(primitives))
  const publicOf = (name: string) => primitives.x25519PublicKey(bytes(vector, name))
  const side = (role: Noise.Role, name: string) =>
    new Noise.NoiseHandshake({
      protocol,
      role,
      prologue: bytes(vector, "prologue"),
      ephemeral: () => ({
        publicKey: publicOf(`gen_${name}_ephemeral`),
        secretKey: bytes(vector, `gen_${name}_ephemeral`)
      }),
      local: {
        publicKey: publicOf(`${name}_static`),
        agree: (publicKey) => primitives.x25519(bytes(vector, `${name}_static`), publicKey)
      },
      remote: role === "initiator" ? publicOf("resp_static") : undefined,
      psks: vector.has("preshared_key") ? [bytes(vector, "preshared_key")] : []
    })
  const sides = [side("initiator", "init"), side("responder", "resp")] as const
  for (const turn of pattern.messages.keys()) {
    const [from, to] = turn % 2 === 0 ? sides : [sides[1], sides[0]]
    const payload = bytes(vector, `msg_${turn}_payload`)
    const message = Result.getOrThrow(from.write(payload))
    assert.strictEqual(
      hex(message),
      vector.get(`msg_${turn}_ciphertext`),
      `${vector.get("handshake")}, message ${turn}`
    )
    assert.strictEqual(hex(Result.getOrThrow(to.read(message))), hex(payload))
  }
}

/** How many there are. */
export const checkVectors = (text: string): number => {
  let checked = 0
  for (const block of text.split("\n\n")) {
    const vector = parse(block)
    const [, name, place] =
      /^Noise_(XK)(?:psk(\d))?_25519_ChaChaPoly_BLAKE2b$/.exec(vector.get("handshake") ?? "") ?? []
    if (name === undefined) continue
    check(vector, place === undefined ? XK : withPsks(XK, Number(place)))
    checked++
  }
  return checked
}
