/**
 * ML-KEM-768 (FIPS 203) as a service: a key encapsulation mechanism that a quantum computer is not known to break.
 * Apart from the `Primitives`, so that a program without `noisepq` has no code for it. `NodeKem.layer` gives it on
 * Node, and `NobleKem.layer` elsewhere.
 *
 * The rules of `Primitives` hold here too. What a peer can provoke comes back as a value, and is never thrown: a key of
 * another length or outside the range of FIPS 203, and a ciphertext of another length. A ciphertext that is forged
 * gives a secret that nobody else has.
 */
import * as Context from "effect/Context"

/**
 * The length of a public key in bytes.
 *
 * @category constants
 * @since 0.1.0
 */
export const publicKeyLength = 1184

/**
 * The length of a ciphertext in bytes.
 *
 * @category constants
 * @since 0.1.0
 */
export const ciphertextLength = 1088

/**
 * A fresh pair.
 *
 * @category models
 * @since 0.1.0
 */
export interface KemKeyPair {
  /** 1,184 bytes. */
  readonly publicKey: Uint8Array
  /** For `decapsulate` of the same layer; each layer has its own form. The caller wipes it. */
  readonly secretKey: Uint8Array
}

/**
 * What is made for the holder of a public key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Encapsulated {
  /** 1,088 bytes, from which the holder of the key gets the same secret. */
  readonly ciphertext: Uint8Array
  /** 32 bytes. The caller wipes it. */
  readonly secret: Uint8Array
}

/**
 * ML-KEM-768. `NodeKem.layer` gives it on Node, and `NobleKem.layer` in browsers.
 *
 * The type parameter is only for the reader of a type error: where it is missing, the compiler says that
 * `Kem<"NodeKem.layer or NobleKem.layer">` is not assignable to `never`. Always write `Kem`.
 *
 * @category services
 * @since 0.1.0
 */
export class Kem<in out GivenBy extends string = "NodeKem.layer or NobleKem.layer"> extends Context.Service<
  Kem,
  {
    /** A fresh pair. With a seed, `d` and then `z` of FIPS 203, the pair of these 64 bytes: for tests and vectors. */
    readonly keyPair: (seed?: Uint8Array) => KemKeyPair
    /** A fresh secret for the holder of `publicKey`. `undefined` when that is not a valid key. */
    readonly encapsulate: (publicKey: Uint8Array) => Encapsulated | undefined
    /** The secret of a ciphertext, 32 bytes. `undefined` when it has another length than a ciphertext. */
    readonly decapsulate: (secretKey: Uint8Array, ciphertext: Uint8Array) => Uint8Array | undefined
  }
>()("effect-multiserver/Kem (NodeKem.layer or NobleKem.layer gives it)") {
  declare readonly "~effect-multiserver/GivenBy": GivenBy
}
