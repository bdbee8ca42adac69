/** The tests, and which peers each is for: `quick` are those that the gates need. */
import { bound } from "./tests/bound.mjs"
import { bulk, echo } from "./tests/bulk.mjs"
import { decode } from "./tests/decode.mjs"
import { dials, growingDials } from "./tests/dials.mjs"
import { fan } from "./tests/fan.mjs"
import { growingTransfers } from "./tests/growth.mjs"
import { handshake } from "./tests/handshake.mjs"
import { idle } from "./tests/idle.mjs"
import { ping } from "./tests/ping.mjs"

const usual = ["net", "tls-aes128", "ms", "ms-nodelay", "ours"]
const withChacha = ["net", "tls-aes128", "tls-chacha20", "ms", "ms-nodelay", "ours"]
const optional = ["ours-noise", "ours-ws", "ms-ws", "effect-socket", "libp2p", "hyperswarm"]
const ballasts = ["ours-borrowed", "ours-ballast", "ours-borrowed-ballast"]
const gated = ["net", "ms-nodelay", "ours"]

/**
 * `once`: too long to repeat. `times`: as often in each repetition, what neighbours disturb most. `longer`: times the
 * seconds of others. `alone`: in one process.
 */
export const tests = {
  bulk64k: {
    run: bulk(2 ** 16),
    peers: [
      ...withChacha,
      ...ballasts,
      "ours-semi1",
      "ours-noise-borrowed",
      ...optional,
      "ours-ws-bufferutil",
      "ms-ws-bufferutil"
    ],
    quick: [...gated, "ours-borrowed", "ours-borrowed-ballast", "ours-ws", "ms-ws"]
  },
  bound: { alone: true, run: bound, peers: ["libsodium", "libsodium-noise"], quick: ["libsodium"] },
  bulk4k: { run: bulk(2 ** 12), peers: [...withChacha, ...optional] },
  bulk100: { run: bulk(100), peers: [...usual, ...optional], quick: gated },
  echo: { run: echo(2 ** 16), peers: [...usual, ...optional] },
  ping: { times: 2, run: ping, peers: [...usual, ...optional], quick: ["net", "ours"] },
  dials: { run: dials(1), peers: [...usual, "tls-mutual", ...optional], quick: ["ms", "ours"] },
  dials64: {
    run: dials(64),
    peers: [...usual, "tls-mutual", ...optional.filter((peer) => peer !== "libp2p")],
    quick: ["ms-nodelay", "tls-mutual", "ours"]
  },
  // As bulk64k and dials64, but one beside the other, often and long: within a minute a machine changes by more than
  // what is asked here.
  noise64k: { times: 3, longer: 4, run: bulk(2 ** 16), peers: ["tls-chacha20", "ours", "ours-noise"] },
  noiseDials64: { times: 3, run: dials(64), peers: ["ours", "ours-noise"] },
  handshake: { alone: true, run: handshake, peers: ["ours"], quick: ["ours"] },
  idle1000: { once: true, run: idle(1000), peers: [...usual, ...optional.filter((peer) => peer !== "libp2p")] },
  idle5000: { once: true, run: idle(5000), peers: ["net", "ms", "ours"], quick: ["ms", "ours"] },
  fan: { run: fan, peers: ["net", "ms-nodelay", "ours"] },
  decode: { alone: true, run: decode, peers: ["multiserver", "ours"] },
  growDials: { once: true, run: growingDials, peers: ["net", "ours"] },
  growTransfers: { once: true, run: growingTransfers, peers: ["net", "ours"] }
}
