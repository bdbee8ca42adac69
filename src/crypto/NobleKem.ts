/**
 * `Kem` in JavaScript, on `@noble/post-quantum`: for browsers, workers and React Native. Synchronous, without
 * WebAssembly, and allowed by any Content Security Policy.
 */
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js"
import * as Layer from "effect/Layer"
import { Kem } from "./Kem.ts"
import { orUndefined } from "./orUndefined.ts"

/** Computes with fresh random bytes, which are wiped afterwards. */
const withRandom = <A>(length: number, compute: (random: Uint8Array) => A): A => {
  const random = crypto.getRandomValues(new Uint8Array(length))
  const out = compute(random)
  random.fill(0)
  return out
}

const keyPair = (seed: Uint8Array) => ml_kem768.keygen(seed)

const make: Kem["Service"] = {
  keyPair: (seed) => (seed === undefined ? withRandom(64, keyPair) : keyPair(seed)),
  encapsulate: (publicKey) =>
    withRandom(32, (random) =>
      orUndefined(() => {
        const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, random)
        return { ciphertext: cipherText, secret: sharedSecret }
      })
    ),
  decapsulate: (secretKey, ciphertext) => orUndefined(() => ml_kem768.decapsulate(ciphertext, secretKey))
}

/**
 * ML-KEM-768 in JavaScript, for every platform that has `crypto.getRandomValues`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Kem> = Layer.succeed(Kem, make)
