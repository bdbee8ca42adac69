/** The public test suite of shs1, npm shs1-test, in both roles: good and bad peers over stdio, and the outcome's keys. */
import { execFile } from "node:child_process"
import { createRequire } from "node:module"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"

const { resolve } = createRequire(import.meta.url)

/** Runs the suite for a role. It starts our executable by its shebang, which has to find the Node of this process. */
const suite = (role: "server" | "client", seed: string) =>
  Effect.callback<{ readonly code: unknown; readonly output: string }>((resume) => {
    const executable = fileURLToPath(new URL(`./shs1/${role}.mjs`, import.meta.url))
    const env = { ...process.env, PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env.PATH}` }
    const script = resolve(`shs1-test/test-${role}.js`)
    const child = execFile(process.execPath, [script, executable, seed], { env }, (error, stdout) =>
      resume(Effect.succeed({ code: error?.code ?? 0, output: stdout.trim() }))
    )
    return Effect.sync(() => child.kill())
  })

describe.each(["server", "client"] as const)("shs1-test's %s suite", (role) => {
  it.live.each(["effect", "multiserver"])("passes with the seed %s", (seed) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* suite(role, seed), { code: 0, output: `Passed the ${role} test suite =)` })
    })
  )
})
