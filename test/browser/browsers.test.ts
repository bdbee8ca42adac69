/**
 * Runs the tests in browsers, the `*.browser.ts` of this folder, in a network of their own that has only loopback: they
 * need one process there for the servers and the browsers. `npx vitest run --config test/browser/inside.config.ts` runs
 * them without it.
 */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { isMissing, ownNetwork, present } from "./support/browsers.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

for (const name of ["Chromium", "Firefox"] as const) isMissing(name, `pages and workers in ${name}`)
if (ownNetwork === undefined) {
  console.log("NOT TESTED: browsers in a network with only loopback, because this machine makes none (unshare, ip)")
}

/** Runs them to their end, or no longer than the test. */
const run = Effect.gen(function* () {
  const vitest = [
    process.execPath,
    "node_modules/vitest/vitest.mjs",
    "run",
    "--config",
    "test/browser/inside.config.ts"
  ]
  const [program = "", ...args] = [...(ownNetwork ?? []), ...vitest, "--reporter=verbose"]
  const env = { ...process.env, ONLY_LOOPBACK: ownNetwork === undefined ? "" : "yes" }
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(program, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] })),
    (child) => Effect.sync(() => child.kill())
  )
  let said = ""
  for (const output of [child.stdout, child.stderr]) {
    output.on("data", (text) => {
      said += text
    })
  }
  const code = yield* Effect.callback<number | null>((resume) => {
    child.on("close", (code) => resume(Effect.succeed(code)))
  })
  return { code, said }
})

it.live.skipIf(present.length === 0)("what is tested in browsers holds, with nothing but loopback", () =>
  Effect.gen(function* () {
    const { code, said } = yield* run
    for (const line of said.split("\n")) if (/NOT TESTED|MEASURED/.test(line)) console.log(line)
    assert.strictEqual(code, 0, said)
  })
)
