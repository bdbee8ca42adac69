/**
 * Loaded into every Node process of a test run, before anything else: writes down the secrets that it uses and what it
 * says, for `globalSetup.ts` to search the one for the other. A secret is what goes through libsodium as one: seeds,
 * secret halves, shared secrets, session keys, and every 32 random bytes. CommonJS, because a process that is told to
 * `--import` starts more slowly, and a run has more than a thousand.
 */
"use strict"
const { ChildProcess } = require("node:child_process")
const fs = require("node:fs")
const Module = require("node:module")

const variable = "SECRETS_SCAN_DIR"
/** A run within a run has a folder of its own. */
const files = new Map()

const append = (name, data) => {
  const dir = process.env[variable]
  if (dir === undefined || dir === "") return
  const path = `${dir}/${process.pid}.${name}`
  let file = files.get(path)
  if (file === undefined) {
    file = { fd: fs.openSync(path, "a"), left: 8 << 20 }
    files.set(path, file)
  }
  // What goes through a pipe by the dozen megabytes is a test's data.
  if (file.left <= 0) return
  const bytes = typeof data === "string" ? Buffer.from(data) : data
  file.left -= bytes.length
  fs.writeSync(file.fd, bytes)
}

const known = new Set()
const secret = (bytes) => {
  if (!(bytes instanceof Uint8Array) || bytes.length < 32) return
  const record = Buffer.from(bytes.subarray(0, 32))
  const name = record.toString("latin1")
  if (known.has(name)) return
  known.add(name)
  append("secrets", record)
}

const recorder = { say: append, secret }

// -----------------------------------------------------------------------------
// what is said
// -----------------------------------------------------------------------------

const listenTo = (name) => {
  const stream = process[name]
  const write = stream.write
  stream.write = function (chunk, ...rest) {
    append(name, typeof chunk === "string" ? chunk : Buffer.from(chunk))
    return write.call(this, chunk, ...rest)
  }
}

// -----------------------------------------------------------------------------
// what is secret
// -----------------------------------------------------------------------------

/** Which arguments of a function are secrets, before or after the call. */
const secrets = {
  randombytes_buf: [0],
  crypto_box_keypair: [1],
  crypto_scalarmult: [0, 1],
  crypto_scalarmult_base: [1],
  crypto_sign_seed_keypair: [1, 2],
  crypto_sign_detached: [2],
  crypto_sign_ed25519_sk_to_curve25519: [0, 1],
  crypto_secretbox_easy: [3],
  crypto_secretbox_open_easy: [3],
  crypto_secretbox_detached: [4],
  crypto_secretbox_open_detached: [4],
  crypto_aead_chacha20poly1305_ietf_encrypt: [5],
  crypto_aead_chacha20poly1305_ietf_decrypt: [5],
  crypto_aead_chacha20poly1305_ietf_encrypt_detached: [6],
  crypto_aead_chacha20poly1305_ietf_decrypt_detached: [6]
}

const watchCalls = (sodium) => {
  for (const [name, which] of Object.entries(secrets)) {
    const call = sodium[name]
    if (typeof call !== "function") continue
    sodium[name] = (...args) => {
      // Before, because it may be wiped or overwritten; after, because it may be what is made.
      for (const index of which) if (name.includes("secretbox") || name.includes("aead")) secret(args[index])
      const out = call.apply(sodium, args)
      for (const index of which) secret(args[index])
      return out
    }
  }
}

/** When a process loads it. To load it in each would cost those that use none as much as half of their start. */
const watchSodium = () => {
  const load = Module._load
  let isWatched = false
  Module._load = function (request, ...rest) {
    const out = load.call(this, request, ...rest)
    if (isWatched || !/\bsodium-native\b/.test(request)) return out
    const own = require.cache[require.resolve("sodium-native")]
    if (own?.loaded) {
      isWatched = true
      watchCalls(own.exports)
    }
    return out
  }
}

/** Children that a test gives an environment of their own are of this run too. */
const followChildren = () => {
  const { spawn } = ChildProcess.prototype
  ChildProcess.prototype.spawn = function (options) {
    const pairs = options.envPairs
    if (Array.isArray(pairs) && !pairs.some((pair) => pair.startsWith(`${variable}=`))) {
      for (const name of [variable, "NODE_OPTIONS"]) {
        if (process.env[name] !== undefined) pairs.push(`${name}=${process.env[name]}`)
      }
    }
    return spawn.call(this, options)
  }
}

const symbol = Symbol.for("effect-multiserver/test/secrets")

/** Once a process, however often this file is loaded. */
const watching = () => {
  if (globalThis[symbol] === undefined) {
    globalThis[symbol] = recorder
    listenTo("stdout")
    listenTo("stderr")
    watchSodium()
    followChildren()
  }
  return globalThis[symbol]
}

watching()
module.exports = { watching }
