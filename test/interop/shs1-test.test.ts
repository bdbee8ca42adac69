/** The public test suite of shs1, npm shs1-test, in both roles: good and bad peers over stdio, and the outcome's keys. */
import { execFile } from "node:child_process"
import { createRequire } from "node:module"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"

const fromHere = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

const environment = {
  ...process.env,
  // Our executable is started by its shebang: let that be the Node of this process.
  PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env.PATH}`,
  // It is started 45 times at once, and would spend most of that compiling the same modules.
  NODE_COMPILE_CACHE: fromHere("../../node_modules/.cache/shs1-test")
}

/** Runs the suite for a role. */
const suite = (role: "server" | "client", seed: string) =>
  Effect.callback<{ readonly code: unknown; readonly output: string }>((resume) => {
    const script = createRequire(import.meta.url).resolve(`shs1-test/test-${role}.js`)
    const args = [script, fromHere(`./shs1/${role}.mjs`), seed]
    const child = execFile(process.execPath, args, { env: environment }, (error, stdout) =>
      resume(Effect.succeed({ code: error?.code ?? 0, output: stdout.trim() }))
    )
    return Effect.sync(() => child.kill())
  })

describe.each(["server", "client"] as const)("shs1-test's %s suite", (role) => {
  it.live.each(["effect", "multiserver"])(
    "passes with the seed %s",
    (seed) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* suite(role, seed), { code: 0, output: `Passed the ${role} test suite =)` })
      }),
    60_000
  )
})
