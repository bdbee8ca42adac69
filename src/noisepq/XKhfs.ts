/**
 * What distinguishes the handshake of `noisepq` (docs/noisepq.md): that of `noise` with a KEM beside its ephemeral
 * keys, as Noise's draft `hfs` has it. The initiator sends a fresh KEM key (`e1`), the responder a ciphertext for it
 * (`ekem1`).
 */
import { ciphertextLength, type Kem, type KemKeyPair, publicKeyLength } from "../crypto/Kem.ts"
import { type Failure, NoiseHandshake, type Options, type Pattern, type Token } from "../xk/NoiseHandshake.ts"
import type { Profile } from "../xk/NoiseProfile.ts"

const pattern: Pattern = {
  name: "XKhfs+psk0",
  kem: "+MLKEM768",
  known: ["responder"],
  messages: [
    ["psk", "e", "es", "e1"],
    ["e", "ee", "ekem1"],
    ["s", "se"]
  ]
}

/** A handshake with the tokens of `hfs`. */
class HybridHandshake extends NoiseHandshake {
  private readonly kem: Kem["Service"]
  private own: KemKeyPair | undefined
  private theirs: Uint8Array | undefined

  constructor(options: Options, kem: Kem["Service"]) {
    super(options)
    this.kem = kem
  }

  override wipe(): void {
    super.wipe()
    this.own?.secretKey.fill(0)
  }

  protected override put(token: Token): Uint8Array | Failure {
    const { kem, symmetric } = this
    if (token === "e1") {
      this.own = kem.keyPair()
      return symmetric.seal(this.own.publicKey)
    }
    if (token !== "ekem1") return super.put(token)
    const made = this.theirs && kem.encapsulate(this.theirs)
    if (made === undefined) return "its KEM key is not valid"
    const sealed = symmetric.seal(made.ciphertext)
    symmetric.mixSecret(made.secret)
    return sealed
  }

  protected override take(token: Token, rest: Uint8Array): number | Failure {
    const { kem, own, symmetric } = this
    if (token === "e1") {
      this.theirs = symmetric.openPart(rest, publicKeyLength)
      return this.theirs === undefined ? "forged" : publicKeyLength + symmetric.overhead
    }
    if (token !== "ekem1") return super.take(token, rest)
    const length = ciphertextLength + symmetric.overhead
    const ciphertext = symmetric.openPart(rest, ciphertextLength)
    const secret = ciphertext && own && kem.decapsulate(own.secretKey, ciphertext)
    if (secret === undefined) return "forged"
    symmetric.mixSecret(secret)
    return length
  }
}

export const profile = (kem: Kem["Service"]): Profile => ({
  name: "noisepq",
  label: "effect-multiserver/noisepq/1",
  pattern,
  handshake: (options) => new HybridHandshake(options, kem),
  hello: 32 + (publicKeyLength + 16) + 16,
  challenge: 32 + (ciphertextLength + 16) + 16
})
