/** A process that Node's permission model keeps from starting others. */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"

const root = fileURLToPath(new URL("../..", import.meta.url))
const script = fileURLToPath(new URL("./permitted.mjs", import.meta.url))

/** As this version of Node calls them. It knows flags that its children may be given in `NODE_OPTIONS`. */
const known = (...flags: ReadonlyArray<string>): ReadonlyArray<string> =>
  flags.filter((flag) => process.allowedNodeEnvironmentFlags.has(flag))
const permission = known("--permission", "--experimental-permission").slice(0, 1)

/** A shell sets the limit, and becomes the process that has few permissions. */
const run = (files: number, allowed: ReadonlyArray<string>) =>
  Effect.callback<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>((resume) => {
    // What a test run looks for in each process needs more permissions.
    const env = { ...process.env, NODE_OPTIONS: "", SECRETS_SCAN_DIR: "" }
    const flags = [...permission, ...known("--allow-net"), ...allowed, "--allow-addons"]
    const child = spawn("/bin/sh", ["-c", `ulimit -n ${files} && exec "$0" "$@"`, process.execPath, ...flags, script], {
      env
    })
    const said = { stdout: "", stderr: "" }
    child.stdout.on("data", (text) => {
      said.stdout += text
    })
    child.stderr.on("data", (text) => {
      said.stderr += text
    })
    child.once("close", (code) => resume(Effect.succeed({ code, ...said })))
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

describe.skipIf(process.platform === "win32" || permission.length === 0)("a process without child processes", () => {
  // The second is what sodium-native's loader asks which libc it has.
  const own = [`--allow-fs-read=${fs.realpathSync(root)}/*`, "--allow-fs-read=/etc/alpine-release"]

  it.live("serves and dials, and knows how many file descriptors it has", () =>
    Effect.gen(function* () {
      for (const allowed of [own, [...own, "--allow-fs-read=/proc/*"]]) {
        const { code, stderr, stdout } = yield* run(300, allowed)
        assert.strictEqual(code, 0, stderr)
        assert.deepStrictEqual(JSON.parse(stdout), { heard: [10, 10], room: 236 })
      }
    })
  )
})

describe("the library", () => {
  it("starts no process anywhere", () => {
    const files = fs
      .readdirSync(`${root}/src`, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
    const starting = files.filter((file) => fs.readFileSync(`${root}/src/${file}`, "utf8").includes("child_process"))
    assert.deepStrictEqual(starting, [])
  })
})
