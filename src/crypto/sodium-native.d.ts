/** The part of sodium-native 5 that `Sodium.ts` uses; the package ships no types. */
declare module "sodium-native" {
  type Bytes = Uint8Array
  interface Sodium {
    randombytes_buf(out: Bytes): void
    crypto_box_keypair(publicKey: Bytes, secretKey: Bytes): void
    crypto_scalarmult(out: Bytes, secretKey: Bytes, publicKey: Bytes): void
    crypto_scalarmult_base(publicKey: Bytes, secretKey: Bytes): void
    crypto_sign_seed_keypair(publicKey: Bytes, secretKey: Bytes, seed: Bytes): void
    crypto_sign_detached(signature: Bytes, message: Bytes, secretKey: Bytes): void
    crypto_sign_verify_detached(signature: Bytes, message: Bytes, publicKey: Bytes): boolean
    crypto_sign_ed25519_pk_to_curve25519(out: Bytes, publicKey: Bytes): void
    crypto_sign_ed25519_sk_to_curve25519(out: Bytes, secretKey: Bytes): void
    crypto_auth(mac: Bytes, message: Bytes, key: Bytes): void
    crypto_hash_sha256(out: Bytes, message: Bytes): void
    crypto_secretbox_easy(box: Bytes, message: Bytes, nonce: Bytes, key: Bytes): void
    crypto_secretbox_open_easy(message: Bytes, box: Bytes, nonce: Bytes, key: Bytes): boolean
    crypto_secretbox_detached(cipher: Bytes, mac: Bytes, message: Bytes, nonce: Bytes, key: Bytes): void
    crypto_secretbox_open_detached(message: Bytes, cipher: Bytes, mac: Bytes, nonce: Bytes, key: Bytes): boolean
    crypto_aead_chacha20poly1305_ietf_encrypt(
      sealed: Bytes,
      message: Bytes,
      associated: Bytes,
      secretNonce: null,
      nonce: Bytes,
      key: Bytes
    ): number
    crypto_aead_chacha20poly1305_ietf_decrypt(
      message: Bytes,
      secretNonce: null,
      sealed: Bytes,
      associated: Bytes,
      nonce: Bytes,
      key: Bytes
    ): number
    crypto_generichash(out: Bytes, message: Bytes, key?: Bytes): void
    sodium_memcmp(a: Bytes, b: Bytes): boolean
    sodium_memzero(bytes: Bytes): void
  }
  const sodium: Sodium
  export default sodium
}
