/** The public test suite of shs1, npm shs1-test, in both roles: good and bad peers, and the outcome's keys. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"

type Role = "server" | "client"
const roles: ReadonlyArray<Role> = ["server", "client"]

const script = fileURLToPath(new URL("./shs1/run.mjs", import.meta.url))

/** Runs the suite for a role. */
const suite = (role: Role, seed: string) =>
  Effect.callback<{ readonly code: unknown; readonly output: string }>((resume) => {
    const child = execFile(process.execPath, [script, role, seed], (error, stdout) =>
      resume(Effect.succeed({ code: error?.code ?? 0, output: stdout.trim() }))
    )
    return Effect.sync(() => child.kill())
  })

/** The keys follow from the seed. */
const seeds = ["effect", "multiserver"]

describe.each(roles)("shs1-test's %s suite", (role) => {
  it.live.each(seeds)("passes with the seed %s", (seed) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* suite(role, seed), { code: 0, output: `Passed the ${role} test suite =)` })
    })
  )
})
