/**
 * ML-KEM-768 by the letter of FIPS 203, on SHA-3 of node:crypto and nothing else: slow, not in constant time, and with
 * the random bytes given by its caller. It is for vectors: node:crypto can't make their ciphertexts, since it takes no
 * coins.
 */
import { createHash } from "node:crypto"

const q = 3329
const k = 3
const [du, dv] = [10, 4]

type Polynomial = ReadonlyArray<number>

const indices = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, i) => i)
const mod = (x: number): number => ((x % q) + q) % q
const add = (a: Polynomial, b: Polynomial): Polynomial => a.map((x, i) => mod(x + (b[i] as number)))
const subtract = (a: Polynomial, b: Polynomial): Polynomial => a.map((x, i) => mod(x - (b[i] as number)))

// ---- hashes (4.1) ----

const sha3 = (bits: 256 | 512, ...parts: ReadonlyArray<Uint8Array>): Buffer =>
  createHash(`sha3-${bits}`).update(Buffer.concat(parts)).digest()
const shake = (bits: 128 | 256, outputLength: number, ...parts: ReadonlyArray<Uint8Array>): Buffer =>
  createHash(`shake${bits}`, { outputLength }).update(Buffer.concat(parts)).digest()
const halves = (bytes: Buffer): readonly [Buffer, Buffer] => [bytes.subarray(0, 32), bytes.subarray(32, 64)]

// ---- bytes (4.2.1) ----

const bitsOf = (bytes: Uint8Array): ReadonlyArray<number> =>
  [...bytes].flatMap((byte) => indices(8).map((i) => (byte >> i) & 1))

const encode = (d: number, of: Polynomial): Buffer => {
  const bits = of.flatMap((x) => indices(d).map((i) => (x >> i) & 1))
  return Buffer.from(
    indices(32 * d).map((at) => indices(8).reduce((sum, i) => sum + ((bits[8 * at + i] as number) << i), 0))
  )
}
const decode = (d: number, bytes: Uint8Array): Polynomial => {
  const bits = bitsOf(bytes)
  return indices(256).map((at) => indices(d).reduce((sum, i) => sum + ((bits[d * at + i] as number) << i), 0))
}
const compress = (d: number, of: Polynomial): Polynomial =>
  of.map((x) => Math.floor((2 * x * 2 ** d + q) / (2 * q)) % 2 ** d)
const decompress = (d: number, of: Polynomial): Polynomial =>
  of.map((y) => Math.floor((2 * y * q + 2 ** d) / 2 ** (d + 1)))

const parts = (bytes: Uint8Array, length: number): ReadonlyArray<Uint8Array> =>
  indices(k).map((i) => bytes.subarray(length * i, length * (i + 1)))

// ---- sampling (4.2.2) ----

const sampleNtt = (...seed: ReadonlyArray<Uint8Array>): Polynomial => {
  const bytes = shake(128, 3 * 1024, ...seed)
  const out: Array<number> = []
  for (let i = 0; out.length < 256; i += 3) {
    const [a, b, c] = [bytes[i] as number, bytes[i + 1] as number, bytes[i + 2] as number]
    for (const x of [a + 256 * (b % 16), Math.floor(b / 16) + 16 * c]) if (x < q && out.length < 256) out.push(x)
  }
  return out
}

/** With η = 2. */
const sampleCbd = (seed: Uint8Array, count: number): Polynomial => {
  const bits = bitsOf(shake(256, 128, seed, Uint8Array.of(count)))
  const bit = (i: number) => bits[i] as number
  return indices(256).map((i) => mod(bit(4 * i) + bit(4 * i + 1) - bit(4 * i + 2) - bit(4 * i + 3)))
}

// ---- the number-theoretic transform (4.3) ----

const power = (exponent: number): number => indices(exponent).reduce((x) => (x * 17) % q, 1)
const reversed = (i: number): number => indices(7).reduce((sum, bit) => sum + (((i >> bit) & 1) << (6 - bit)), 0)
const zetas = indices(128).map((i) => power(reversed(i)))
const gammas = indices(128).map((i) => power(2 * reversed(i) + 1))

const ntt = (of: Polynomial): Polynomial => {
  const f = [...of]
  let i = 1
  for (let length = 128; length >= 2; length /= 2) {
    for (let start = 0; start < 256; start += 2 * length) {
      const zeta = zetas[i++] as number
      for (let j = start; j < start + length; j++) {
        const t = (zeta * (f[j + length] as number)) % q
        f[j + length] = mod((f[j] as number) - t)
        f[j] = mod((f[j] as number) + t)
      }
    }
  }
  return f
}

const inverseNtt = (of: Polynomial): Polynomial => {
  const f = [...of]
  let i = 127
  for (let length = 2; length <= 128; length *= 2) {
    for (let start = 0; start < 256; start += 2 * length) {
      const zeta = zetas[i--] as number
      for (let j = start; j < start + length; j++) {
        const t = f[j] as number
        f[j] = mod(t + (f[j + length] as number))
        f[j + length] = mod(zeta * ((f[j + length] as number) - t))
      }
    }
  }
  return f.map((x) => (x * 3303) % q)
}

const multiply = (f: Polynomial, g: Polynomial): Polynomial =>
  gammas.flatMap((gamma, i) => {
    const [a0, a1] = [f[2 * i] as number, f[2 * i + 1] as number]
    const [b0, b1] = [g[2 * i] as number, g[2 * i + 1] as number]
    return [(a0 * b0 + ((a1 * b1) % q) * gamma) % q, (a0 * b1 + a1 * b0) % q]
  })

type Vector = ReadonlyArray<Polynomial>
const dot = (a: Vector, b: Vector): Polynomial =>
  a.map((f, i) => multiply(f, b[i] as Polynomial)).reduce((sum, each) => add(sum, each))

/** The matrix of a public key, by rows. */
const matrix = (rho: Uint8Array): ReadonlyArray<Vector> =>
  indices(k).map((i) => indices(k).map((j) => sampleNtt(rho, Uint8Array.of(j, i))))

// ---- K-PKE (5) ----

const encrypt = (ek: Uint8Array, m: Uint8Array, r: Uint8Array): Buffer => {
  const t = parts(ek, 384).map((part) => decode(12, part))
  const a = matrix(ek.subarray(384 * k))
  const y = indices(k).map((i) => ntt(sampleCbd(r, i)))
  const u = indices(k).map((j) =>
    add(
      inverseNtt(
        dot(
          a.map((row) => row[j] as Polynomial),
          y
        )
      ),
      sampleCbd(r, k + j)
    )
  )
  const v = add(add(inverseNtt(dot(t, y)), sampleCbd(r, 2 * k)), decompress(1, decode(1, m)))
  return Buffer.concat([...u.map((each) => encode(du, compress(du, each))), encode(dv, compress(dv, v))])
}

const decrypt = (dk: Uint8Array, c: Uint8Array): Buffer => {
  const u = parts(c, 32 * du).map((part) => decompress(du, decode(du, part)))
  const v = decompress(dv, decode(dv, c.subarray(32 * du * k)))
  const s = parts(dk, 384).map((part) => decode(12, part))
  return encode(1, compress(1, subtract(v, inverseNtt(dot(s, u.map(ntt))))))
}

// ---- ML-KEM (6) ----

/** The pair of a seed, `d` and then `z`. */
export const keyGen = (seed: Uint8Array): { readonly ek: Buffer; readonly dk: Buffer } => {
  const [rho, sigma] = halves(sha3(512, seed.subarray(0, 32), Uint8Array.of(k)))
  const a = matrix(rho)
  const s = indices(k).map((i) => ntt(sampleCbd(sigma, i)))
  const t = indices(k).map((i) => add(dot(a[i] as Vector, s), ntt(sampleCbd(sigma, k + i))))
  const ek = Buffer.concat([...t.map((each) => encode(12, each)), rho])
  return { ek, dk: Buffer.concat([...s.map((each) => encode(12, each)), ek, sha3(256, ek), seed.subarray(32)]) }
}

export const encaps = (ek: Uint8Array, m: Uint8Array): { readonly secret: Buffer; readonly ciphertext: Buffer } => {
  const [secret, r] = halves(sha3(512, m, sha3(256, ek)))
  return { secret, ciphertext: encrypt(ek, m, r) }
}

export const decaps = (dk: Uint8Array, c: Uint8Array): Buffer => {
  const at = 384 * k
  const ek = dk.subarray(at, 2 * at + 32)
  const m = decrypt(dk.subarray(0, at), c)
  const [secret, r] = halves(sha3(512, m, dk.subarray(2 * at + 32, 2 * at + 64)))
  return encrypt(ek, m, r).equals(c) ? secret : shake(256, 32, dk.subarray(2 * at + 64), c)
}
