/** What libsodium needs for the frames of bulk: 64 KiB sealed and opened in one process, and nothing else done. */
import { cpuSeconds, gibibyte } from "../measure.mjs"
import { require } from "../ours.mjs"
import { rowOf } from "../peers/registry.mjs"

export const bound = (child, { peer, seconds }) =>
  child.do("alone", { path: import.meta.url, kind: rowOf(peer), seconds })

const size = 2 ** 16

/** A box stream: 16 packets, each with a header (wire.md 1.6). */
const boxStream = (sodium) => {
  const [packets, body] = [16, size / 16]
  const key = Buffer.alloc(32, 1)
  const nonce = Buffer.alloc(24, 2)
  const plainHeader = Buffer.alloc(18)
  const mac = plainHeader.subarray(2)
  const stage = Buffer.alloc(packets * (34 + body))
  const carved = Array.from({ length: packets }, (_, i) => ({
    header: stage.subarray(i * (34 + body), i * (34 + body) + 34),
    body: stage.subarray(i * (34 + body) + 34, (i + 1) * (34 + body))
  }))
  return () => {
    for (const { body, header } of carved) {
      sodium.crypto_secretbox_detached(body, mac, body, nonce, key)
      sodium.crypto_secretbox_easy(header, plainHeader, nonce, key)
    }
    for (const { body, header } of carved) {
      sodium.crypto_secretbox_open_easy(plainHeader, header, nonce, key)
      sodium.crypto_secretbox_open_detached(body, body, mac, nonce, key)
    }
  }
}

/** noise: one frame (docs/noise.md). Its body is 17 bytes longer than one may be, which doesn't matter here. */
const noise = (sodium) => {
  const key = Buffer.alloc(32, 1)
  const nonce = Buffer.alloc(12, 2)
  const length = Buffer.alloc(2)
  const head = Buffer.alloc(18)
  const sealed = Buffer.alloc(size + 16)
  const body = sealed.subarray(0, size)
  return () => {
    sodium.crypto_aead_chacha20poly1305_ietf_encrypt(head, length, null, null, nonce, key)
    sodium.crypto_aead_chacha20poly1305_ietf_encrypt(sealed, body, null, null, nonce, key)
    sodium.crypto_aead_chacha20poly1305_ietf_decrypt(length, null, head, null, nonce, key)
    sodium.crypto_aead_chacha20poly1305_ietf_decrypt(body, null, sealed, null, nonce, key)
  }
}

const kinds = { libsodium: boxStream, "libsodium-noise": noise }

export const alone = ({ kind, seconds }) => {
  const round = kinds[kind](require("sodium-native"))
  const until = (end) => {
    let rounds = 0
    while (cpuSeconds() < end) for (let i = 0; i < 100; i++, rounds++) round()
    return rounds
  }
  until(cpuSeconds() + seconds * 0.3)
  const before = cpuSeconds()
  const rounds = until(before + seconds)
  const spent = cpuSeconds() - before
  const gib = (rounds * size) / gibibyte
  return { cpuPerGib: spent / gib, mbPerSecond: (gib * gibibyte) / 1e6 / spent }
}
