/** The command against the npm package multiserver 3.8.2, each in a process of its own. */
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder, listen, run, sha256 } from "./support.ts"

const pathOf = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

/** Runs a program to its end. */
const output = (program: string, args: ReadonlyArray<string>) =>
  Effect.callback<{ readonly code: number | null; readonly stdout: string }>((resume) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] })
    let stdout = ""
    child.stdout.on("data", (text) => {
      stdout += text
    })
    child.on("close", (code) => resume(Effect.succeed({ code, stdout })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** The address of an npm echo server, as long as the test. */
const npmEcho = Effect.gen(function* () {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, [pathOf("npm-echo.mjs")], { stdio: ["pipe", "pipe", "inherit"] })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  return yield* Effect.callback<string>((resume) => {
    createInterface({ input: child.stdout }).once("line", (address) => resume(Effect.succeed(address)))
  })
})

describe("npm multiserver 3.8.2", () => {
  it.live("dials listen --echo, and has all of its bytes back", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "key")
      const allowed = String((yield* run(["keygen", "--output", file])).stdout).trim()
      const { address, listener } = yield* listen("net:127.0.0.1:0~shs", "--echo", "--allow", allowed)
      const args = [pathOf("../../examples/npm-peer.mjs"), address, file, "3000000"]
      const { code, stdout } = yield* output(process.execPath, args)
      assert.strictEqual(code, 0)
      const { received, sent, version } = JSON.parse(stdout)
      assert.strictEqual(version, "3.8.2")
      assert.strictEqual(sent.bytes, 3_000_000)
      assert.deepStrictEqual(received, sent)
      assert.deepInclude(yield* listener.event("closed"), { peer: allowed, bytesRead: 3_000_000, reason: "end" })
    })
  )

  it.live("is dialed by connect, which has all of its bytes back", () =>
    Effect.gen(function* () {
      const input = randomBytes(300_000)
      const { code, stdout } = yield* run(["connect", yield* npmEcho], { input })
      assert.strictEqual(code, 0)
      assert.strictEqual(sha256(stdout), sha256(input))
    })
  )
})

describe("npm start", () => {
  it.live("shows everything in one go", () =>
    Effect.gen(function* () {
      // The demo is TypeScript: it runs on the Node of the package's scripts.
      const node = pathOf("../../node_modules/.bin/node")
      const { code, stdout } = yield* output(node, [pathOf("../../examples/demo.ts")])
      assert.strictEqual(code, 0)
      for (const row of [
        /we +net~shs +16 MiB +16 MiB +same/,
        /we +memory~shs +16 MiB +16 MiB +same/,
        /npm multiserver +net~shs +4 MiB +4 MiB +same/,
        /a stranger +net~shs +refused/
      ]) {
        assert.match(stdout, row)
      }
    })
  )
})
