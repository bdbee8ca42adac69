/**
 * `run.mjs ROLE SEED`: shs1-test's suite for a role. It starts an executable 45 times. Here each start is one of
 * `peers.mjs` in the suite's own process: as a process, it would spend all its time on starting Node.
 */
import childProcess from "node:child_process"
import { EventEmitter } from "node:events"
import { createRequire } from "node:module"
import { PassThrough } from "node:stream"
import { client, server } from "./peers.mjs"

const [node, , role, seed] = process.argv

/** What `spawn` gives, of a peer that runs here. Nothing is written after a failure. */
const started = (args) => {
  const child = new EventEmitter()
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  const close = (code) => stdout.end(() => child.emit("close", code))
  const peer = { client, server }[role](
    args.map((hex) => new Uint8Array(Buffer.from(hex, "hex"))),
    (message) => stdout.write(message)
  )
  let wanted = peer.next()
  let buffered = Buffer.alloc(0)
  const arrived = (chunk) => {
    buffered = Buffer.concat([buffered, chunk])
    try {
      while (!wanted.done && buffered.length >= wanted.value) {
        const message = new Uint8Array(buffered.subarray(0, wanted.value))
        buffered = buffered.subarray(wanted.value)
        wanted = peer.next(message)
      }
      if (wanted.done) close(0)
    } catch {
      close(1)
    }
  }
  // In a later turn, as between processes: the suite writes first, and then sets what it waits for.
  stdin.on("data", (chunk) => setImmediate(arrived, chunk))
  return Object.assign(child, { stdin, stdout, stderr, kill: () => stdin.destroy() })
}

// The suite takes `spawn` from this module when it is loaded.
childProcess.spawn = (_, args) => started(args)
const script = createRequire(import.meta.url).resolve(`shs1-test/test-${role}.js`)
process.argv = [node, script, role, seed]
await import(script)
