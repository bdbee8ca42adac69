/** The tests, and the peers in their tables. What the gates need is measured besides (`plan.mjs`). */
import { bound } from "./tests/bound.mjs"
import { bulk, echo } from "./tests/bulk.mjs"
import { decode } from "./tests/decode.mjs"
import { dials, growingDials } from "./tests/dials.mjs"
import { fan } from "./tests/fan.mjs"
import { growingTransfers } from "./tests/growth.mjs"
import { handshake } from "./tests/handshake.mjs"
import { idle } from "./tests/idle.mjs"
import { ping } from "./tests/ping.mjs"
import { port } from "./tests/port.mjs"

const plain = ["net", "effect-socket"]
const others = ["tls-aes128", "tls-chacha20", "ms", "ms-nodelay", "hyperswarm", "libp2p"]
const own = ["ours", "ours-noise"]
const overWs = ["ws", "ms-ws", "ours-ws"]
const withBufferutil = ["ws-bufferutil", "ms-ws-bufferutil", "ours-ws-bufferutil"]
const variants = ["ours-borrowed", "ours-ballast", "ours-borrowed-ballast"]
/** libp2p fails with many dials at once. */
const dialing = [...plain, "tls-mutual", "ms", "ms-nodelay", "hyperswarm", ...own, "ours-noisepq", ...overWs]

/** `once`: too long to repeat where no gate asks for it. `alone`: in one process. */
export const tests = {
  bulk64k: { run: bulk(2 ** 16), peers: [...plain, ...others, ...own, ...variants, ...overWs, ...withBufferutil] },
  bound: { alone: true, run: bound, peers: ["libsodium", "libsodium-noise"] },
  bulk4k: { run: bulk(2 ** 12), peers: ["net", "tls-aes128", "ms-nodelay", "hyperswarm", ...own] },
  bulk100: { run: bulk(100), peers: ["net", ...others, ...own, "ms-ws", "ours-ws"] },
  // libp2p hangs in it at times.
  echo: {
    run: echo(2 ** 16),
    peers: ["net", ...others.filter((peer) => peer !== "libp2p"), ...own, "ms-ws", "ours-ws"]
  },
  ping: { run: ping, peers: [...plain, ...others, ...own, ...overWs] },
  dials: { run: dials(1), peers: [...dialing, "libp2p"] },
  dials64: { run: dials(64), peers: dialing },
  handshake: { alone: true, run: handshake, peers: ["ours", "ours-noise", "ours-noisepq"] },
  idle1000: { once: true, run: idle(1000), peers: dialing.filter((peer) => peer !== "ms") },
  idle5000: { once: true, run: idle(5000), peers: ["net", "ms-nodelay", "ours"] },
  fan: { run: fan, peers: ["net", "ms-nodelay", "ours"] },
  decode: { alone: true, run: decode, peers: ["multiserver", "ours"] },
  port: { alone: true, run: port, peers: ["messageport", "ours-port", "ours-port-noise"] },
  growDials: { once: true, run: growingDials, peers: ["net", "ours"] },
  growTransfers: { once: true, run: growingTransfers, peers: ["net", "ours"] }
}
