/**
 * The cryptographic primitives that every protocol is built on, as a service. A layer of it (`Sodium.layer` on Node,
 * `Noble.layer` elsewhere) is the only code that touches a crypto library.
 *
 * Rules of the boundary: only `Uint8Array`s go in, lengths are the caller's duty, and whatever a peer can provoke (a
 * bad point, a forged signature, a wrong MAC) comes back as a value and is never thrown. Results may be cut from a
 * buffer that they share: copy what is kept for longer than a handshake.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"

/**
 * An X25519 or Ed25519 pair of raw keys.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyPairBytes {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** X25519: 32 bytes. Ed25519: 64 bytes, seed then public key. */
  readonly secretKey: Uint8Array
}

/**
 * The cryptographic primitives that the protocols are made of. `Sodium.layer` gives them on Node, and
 * `Noble.layer` in browsers.
 *
 * The type parameter is only for the reader of a type error: where they are missing, the compiler says that
 * `Primitives<"Sodium.layer or Noble.layer">` is not assignable to `never`. Always write `Primitives`.
 *
 * @category services
 * @since 0.1.0
 */
export class Primitives<in out GivenBy extends string = "Sodium.layer or Noble.layer"> extends Context.Service<
  Primitives,
  {
    /** Cryptographically random bytes. */
    readonly random: (length: number) => Uint8Array
    /** A fresh X25519 pair. */
    readonly x25519KeyPair: () => KeyPairBytes
    /** X25519. `undefined` when the shared secret would be all zero: the point has small order. */
    readonly x25519: (secretKey: Uint8Array, publicKey: Uint8Array) => Uint8Array | undefined
    /** The X25519 public key of a secret one. */
    readonly x25519PublicKey: (secretKey: Uint8Array) => Uint8Array
    /** The Ed25519 pair of a 32-byte seed. */
    readonly ed25519KeyPair: (seed: Uint8Array) => KeyPairBytes
    /** A detached Ed25519 signature, 64 bytes. `secretKey` is 64 bytes. */
    readonly sign: (message: Uint8Array, secretKey: Uint8Array) => Uint8Array
    /** Strict, cofactorless verification: canonical S and key, no small order (docs/wire.md). */
    readonly verify: (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array) => boolean
    /**
     * The X25519 form of an Ed25519 public key. `undefined` when the key is not a point of the curve, has small order,
     * or is outside the main subgroup.
     */
    readonly x25519FromPublicKey: (publicKey: Uint8Array) => Uint8Array | undefined
    /** The X25519 form of a 64-byte Ed25519 secret key. */
    readonly x25519FromSecretKey: (secretKey: Uint8Array) => Uint8Array
    /** HMAC-SHA-512 cut to its first 32 bytes (libsodium's `crypto_auth`). */
    readonly hmac: (key: Uint8Array, message: Uint8Array) => Uint8Array
    /** SHA-256. */
    readonly sha256: (message: Uint8Array) => Uint8Array
    /** XSalsa20-Poly1305, 16-byte MAC first: fills `box`, which is 16 bytes longer than `message`. */
    readonly boxSeal: (box: Uint8Array, message: Uint8Array, nonce: Uint8Array, key: Uint8Array) => void
    /** Opens `box` into `message`, 16 bytes shorter. `false`: forged, and `message` is meaningless. */
    readonly boxOpen: (message: Uint8Array, box: Uint8Array, nonce: Uint8Array, key: Uint8Array) => boolean
    /** As `boxSeal` with the MAC apart. `cipher` and `message` have one length and may be the same bytes. */
    readonly boxSealDetached: (
      cipher: Uint8Array,
      mac: Uint8Array,
      message: Uint8Array,
      nonce: Uint8Array,
      key: Uint8Array
    ) => void
    /** As `boxOpen` with the MAC apart. `message` and `cipher` may overlap. */
    readonly boxOpenDetached: (
      message: Uint8Array,
      cipher: Uint8Array,
      mac: Uint8Array,
      nonce: Uint8Array,
      key: Uint8Array
    ) => boolean
    /** Compares in constant time. Different lengths are not equal. */
    readonly equal: (a: Uint8Array, b: Uint8Array) => boolean
    /** Overwrites with zeros. */
    readonly wipe: (bytes: Uint8Array) => void
  }
>()("effect-multiserver/Primitives (Sodium.layer or Noble.layer gives it)") {
  declare readonly "~effect-multiserver/GivenBy": GivenBy
}

/**
 * All `Primitives`, and those that only `noise` needs: its cipher and its hash. Apart, so that a page without `noise`
 * has no code for them. `Sodium.layer` and `Noble.layer` give both.
 *
 * @category services
 * @since 0.1.0
 */
export class NoisePrimitives<in out GivenBy extends string = "Sodium.layer or Noble.layer"> extends Context.Service<
  NoisePrimitives,
  Primitives["Service"] & {
    /**
     * ChaCha20-Poly1305 with a 12-byte nonce (RFC 8439): fills `sealed`, which is 16 bytes longer than `message`.
     * `message` may be the beginning of `sealed`.
     */
    readonly aeadSeal: (
      sealed: Uint8Array,
      message: Uint8Array,
      associated: Uint8Array,
      nonce: Uint8Array,
      key: Uint8Array
    ) => void
    /** Opens `sealed` into `message`, 16 bytes shorter, which may be the beginning of `sealed`. `false`: forged. */
    readonly aeadOpen: (
      message: Uint8Array,
      sealed: Uint8Array,
      associated: Uint8Array,
      nonce: Uint8Array,
      key: Uint8Array
    ) => boolean
    /**
     * Optional: present where it is faster than `aeadOpen` for large messages. Returns a function that opens messages
     * without associated data into memory that it allocates; `undefined`: forged. The function keeps a copy of the key
     * until it is garbage-collected.
     */
    readonly aeadLargeOpener?: (key: Uint8Array) => (sealed: Uint8Array, nonce: Uint8Array) => Uint8Array | undefined
    /**
     * Computes BLAKE2b (RFC 7693) of `message`, with the key if there is one, and fills `hash` with it. `hash` has 16
     * to 64 bytes and must not overlap `message`. Hashes of different lengths have nothing in common.
     */
    readonly blake2b: (hash: Uint8Array, message: Uint8Array, key?: Uint8Array) => void
  }
>()("effect-multiserver/NoisePrimitives (Sodium.layer or Noble.layer gives it)") {
  declare readonly "~effect-multiserver/GivenBy": GivenBy
}

/**
 * The layer of a crypto library that has all of them.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (all: NoisePrimitives["Service"]): Layer.Layer<Primitives | NoisePrimitives> =>
  Layer.succeedContext(Context.add(Context.make(Primitives, all), NoisePrimitives, all))
