/** What both handshakes are made of, and what nobody honest makes of it. */
import sodium from "sodium-native"

export const buffer = (length) => Buffer.alloc(length)
export const concat = (...parts) => Buffer.concat(parts)

export const random = (length) => {
  const out = buffer(length)
  sodium.randombytes_buf(out)
  return out
}

export const x25519 = (secretKey, publicKey) => {
  const out = buffer(32)
  sodium.crypto_scalarmult(out, secretKey, publicKey)
  return out
}

export const convertPublic = (key) => {
  const out = buffer(32)
  sodium.crypto_sign_ed25519_pk_to_curve25519(out, key)
  return out
}

export const convertSecret = (key) => {
  const out = buffer(32)
  sodium.crypto_sign_ed25519_sk_to_curve25519(out, key)
  return out
}

/** A new Ed25519 key pair. */
export const identity = () => {
  const publicKey = buffer(32)
  const secretKey = buffer(64)
  sodium.crypto_sign_keypair(publicKey, secretKey)
  return { publicKey, secretKey }
}

export const ephemeral = () => {
  const publicKey = buffer(32)
  const secretKey = buffer(32)
  sodium.crypto_box_keypair(publicKey, secretKey)
  return { publicKey, secretKey }
}

// ---- what nobody honest sends ----

export const hex = (text) => Buffer.from(text, "hex")

/** Points that lead to a secret of zeros with any key, in each of their encodings. */
export const smallOrder = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
].flatMap((text) => {
  const high = hex(text)
  high[31] |= 0x80
  return [hex(text), high]
})

/** Ed25519 keys that nobody can hold: of small order, not canonical, no point at all. */
export const degenerateKeys = [
  "0100000000000000000000000000000000000000000000000000000000000000",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0000000000000000000000000000000000000000000000000000000000000080",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0200000000000000000000000000000000000000000000000000000000000000"
].map(hex)

export const flipped = (bytes) => {
  const out = Buffer.from(bytes)
  out[0] ^= 1
  return out
}
