/**
 * The public test suite of shs1, npm shs1-test, in both roles: good and bad peers over stdio, and the outcome's keys.
 */
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { bundle, program } from "../support/bundle.ts"

type Role = "server" | "client"
const roles: ReadonlyArray<Role> = ["server", "client"]

// A suite starts its executable 45 times at once.
let bundles = ""

beforeAll(async () => {
  const url = (role: Role) => new URL(`./shs1/${role}.mjs`, import.meta.url)
  bundles = await bundle("shs1-test", { client: url("client"), server: url("server") })
  for (const role of roles) fs.chmodSync(program(bundles, role), 0o755)
})

/** Runs the suite for a role. */
const suite = (role: Role, seed: string) =>
  Effect.callback<{ readonly code: unknown; readonly output: string }>((resume) => {
    const script = createRequire(import.meta.url).resolve(`shs1-test/test-${role}.js`)
    // Our executable is started by its shebang: let that be the Node of this process.
    const env = { ...process.env, PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env.PATH}` }
    const child = execFile(process.execPath, [script, program(bundles, role), seed], { env }, (error, stdout) =>
      resume(Effect.succeed({ code: error?.code ?? 0, output: stdout.trim() }))
    )
    return Effect.sync(() => child.kill())
  })

/** The keys follow from the seed. A run takes a dozen CPU seconds, so each seed has both roles only in `test:long`. */
const seeds = { server: "effect", client: "multiserver" }
const chosen = (role: Role) => (process.env.SHS1 === "all" ? Object.values(seeds) : [seeds[role]])

describe.each(roles)("shs1-test's %s suite", (role) => {
  it.live.each(chosen(role))("passes with the seed %s", (seed) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* suite(role, seed), { code: 0, output: `Passed the ${role} test suite =)` })
    })
  )
})
