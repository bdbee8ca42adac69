/** What libsodium needs for a box stream: full packets sealed and opened in one process, and nothing else done. */

import { gibibyte } from "../measure.mjs"
import { require } from "../ours.mjs"

export const bound = (child, { seconds }) => child.do("alone", { path: import.meta.url, seconds })

const body = 4096
const packets = 16

export const alone = ({ seconds }) => {
  const sodium = require("sodium-native")
  const key = Buffer.alloc(32, 1)
  const nonce = Buffer.alloc(24, 2)
  const plainHeader = Buffer.alloc(18)
  const mac = plainHeader.subarray(2)
  const stage = Buffer.alloc(packets * (34 + body))
  const carved = Array.from({ length: packets }, (_, i) => ({
    header: stage.subarray(i * (34 + body), i * (34 + body) + 34),
    body: stage.subarray(i * (34 + body) + 34, (i + 1) * (34 + body))
  }))
  const round = () => {
    for (const { body, header } of carved) {
      sodium.crypto_secretbox_detached(body, mac, body, nonce, key)
      sodium.crypto_secretbox_easy(header, plainHeader, nonce, key)
    }
    for (const { body, header } of carved) {
      sodium.crypto_secretbox_open_easy(plainHeader, header, nonce, key)
      sodium.crypto_secretbox_open_detached(body, body, mac, nonce, key)
    }
  }
  const until = (end) => {
    let rounds = 0
    while (performance.now() < end) for (let i = 0; i < 100; i++, rounds++) round()
    return rounds
  }
  until(performance.now() + seconds * 300)
  const before = process.cpuUsage()
  const rounds = until(performance.now() + seconds * 1000)
  const { system, user } = process.cpuUsage(before)
  const gib = (rounds * packets * body) / gibibyte
  return { cpuPerGib: (user + system) / 1e6 / gib, mbPerSecond: (gib * gibibyte) / (user + system) }
}
