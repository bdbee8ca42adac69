/**
 * Every row of the tables: the module that adapts it, its options, and the environment and Node flags of its processes.
 * An adapter is
 *
 *     make(options) -> { listen(mode, onBytes) -> target, dial(target) -> connection, ping?, dials?, fan? }
 *     connection    -> { pump(chunk, count), read(onBytes), send(chunk), close() }
 *
 * each in the peer's own idiom. `mode` is what the server does with what arrives: `sink` counts it, `echo` writes it
 * back. Rows with `bufferutil` have this package, and no others. A row that `waits` spends most of its time on that: it
 * sets no TCP_NODELAY.
 */
const ballast = { BALLAST: "100" }

const rows = {
  net: { module: "net" },
  "tls-aes128": { module: "tls", options: { ciphers: "TLS_AES_128_GCM_SHA256" } },
  "tls-chacha20": { module: "tls", options: { ciphers: "TLS_CHACHA20_POLY1305_SHA256" } },
  "tls-mutual": { module: "tls", options: { ciphers: "TLS_AES_128_GCM_SHA256", mutual: true } },
  ms: { module: "multiserver", waits: true },
  "ms-nodelay": { module: "multiserver", options: { nodelay: true } },
  "ms-ws": { module: "multiserver", options: { transport: "ws" } },
  "ms-ws-bufferutil": { module: "multiserver", options: { transport: "ws" }, bufferutil: true },
  ws: { module: "ws" },
  "ws-bufferutil": { module: "ws", bufferutil: true },
  ours: { module: "ours" },
  "ours-borrowed": { module: "ours", options: { borrowed: true } },
  "ours-ballast": { module: "ours", env: ballast },
  "ours-borrowed-ballast": { module: "ours", options: { borrowed: true }, env: ballast },
  "ours-noise": { module: "ours", options: { stack: "net~noise" } },
  "ours-noisepq": { module: "ours", options: { stack: "net~noisepq" } },
  "ours-ws": { module: "ours", options: { stack: "ws~shs" } },
  "ours-ws-bufferutil": { module: "ours", options: { stack: "ws~shs" }, bufferutil: true },
  "effect-socket": { module: "effectSocket" },
  libp2p: { module: "libp2p" },
  hyperswarm: { module: "hyperswarm" },
  libsodium: { module: "none" },
  "libsodium-noise": { module: "none" },
  multiserver: { module: "none" },
  messageport: { module: "none" },
  "ours-port": { module: "none" },
  "ours-port-noise": { module: "none" }
}

/** What each row is, for people. */
export const titles = {
  net: "node:net",
  "tls-aes128": "node:tls, AES-128-GCM",
  "tls-chacha20": "node:tls, ChaCha20-Poly1305",
  "tls-mutual": "node:tls, mutual Ed25519",
  ms: "multiserver net~shs",
  "ms-nodelay": "multiserver net~shs, nodelay forced",
  "ms-ws": "multiserver ws~shs",
  "ms-ws-bufferutil": "multiserver ws~shs, bufferutil",
  ws: "ws, plain",
  "ws-bufferutil": "ws, plain, bufferutil",
  ours: "effect-multiserver net~shs",
  "ours-borrowed": "effect-multiserver, borrowed reads",
  "ours-ballast": "effect-multiserver, 100 MB live heap",
  "ours-borrowed-ballast": "effect-multiserver, borrowed reads, 100 MB live heap",
  "ours-noise": "effect-multiserver net~noise",
  "ours-noisepq": "effect-multiserver net~noisepq",
  "ours-ws": "effect-multiserver ws~shs",
  "ours-ws-bufferutil": "effect-multiserver ws~shs, bufferutil",
  "effect-socket": "Effect NodeSocket, plain",
  libp2p: "libp2p tcp+noise+yamux",
  hyperswarm: "hyperswarm secret-stream",
  libsodium: "libsodium, what a box stream needs",
  "libsodium-noise": "libsodium, what noise needs",
  multiserver: "multiserver",
  messageport: "message ports, bare",
  "ours-port": "effect-multiserver port",
  "ours-port-noise": "effect-multiserver port~noise"
}

/** The row of a peer, which may be of another checkout. */
export const rowOf = (name) => name.split("@")[0]

/** A row by its name. `ours@DIR` is the build in another checkout, to compare two. */
export const find = (name) => {
  const [row, root] = name.split("@")
  const found = rows[row]
  if (found === undefined) throw new Error(`no peer ${row}; there are ${Object.keys(rows).join(", ")}`)
  return { options: {}, env: {}, flags: [], bufferutil: false, waits: false, ...found, root }
}
