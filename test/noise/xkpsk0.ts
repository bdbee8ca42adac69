/**
 * Noise's XKpsk0 by npm `noise-handshake`, as a peer and for vectors: nothing of it is ours. It has Noise's `psk` token
 * and the rules that come with it, but of such patterns only NNpsk0 and XXpsk0: here XKpsk0 is laid out in its own
 * tokens.
 */
import { createRequire } from "node:module"
import { blake2b } from "./blake2b.ts"

export interface Pair {
  readonly publicKey: Buffer
  readonly secretKey: Buffer
}

/** One side: `send` and `recv` in turn. Set `e` before the first message for an ephemeral pair that is known. */
export interface Side {
  readonly initialise: (prologue: Uint8Array, remote?: Uint8Array) => void
  readonly send: (payload?: Uint8Array) => Uint8Array
  /** Keeps a view of what it is given, and overwrites it. */
  readonly recv: (message: Uint8Array) => Uint8Array
  e: Pair | null
  readonly tx: Uint8Array
  readonly rx: Uint8Array
  readonly rs: Uint8Array
  readonly hash: Uint8Array
}

interface Internals extends Side {
  handshake: ReadonlyArray<unknown>
  isPskHandshake: boolean
  protocol: Buffer
}
type Make = new (pattern: string, initiator: boolean, own: Pair, options: { readonly psk: Uint8Array }) => Internals
const NoiseHandshake: Make = createRequire(import.meta.url)("noise-handshake")

export const protocolName = "Noise_XKpsk0_25519_ChaChaPoly_BLAKE2b"

const tokensOf = (message: unknown): ReadonlyArray<unknown> => (Array.isArray(message) ? message : [])

/** The app key, as the handshake takes it (docs/noise.md). */
export const pskOf = (appKey: Uint8Array): Buffer => blake2b(32, Buffer.from("effect-multiserver/noise/2/psk"), appKey)

export const prologueOf = (responder: Uint8Array, sections = "noise"): Buffer =>
  Buffer.concat([Buffer.from("effect-multiserver/noise/2\0"), responder, Buffer.from(sections)])

export const xkpsk0 = (initiator: boolean, own: Pair, psk: Uint8Array): Side => {
  const side = new NoiseHandshake("XK", initiator, own, { psk })
  const [first] = new NoiseHandshake("NNpsk0", initiator, own, { psk }).handshake
  const [token] = tokensOf(first)
  const [known, hello, ...rest] = side.handshake
  side.handshake = [known, [token, ...tokensOf(hello)], ...rest]
  side.isPskHandshake = true
  side.protocol = Buffer.from(protocolName)
  return side
}
