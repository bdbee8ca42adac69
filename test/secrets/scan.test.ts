/** The search for secrets that ends each test run finds them in every form, wherever they are said. */
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as util from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { pattern } from "../support/servers.ts"
import { search } from "./globalSetup.ts"
import { blocks, Secrets } from "./search.ts"

const secret = Buffer.from(pattern(32, 77))
const longer = Buffer.concat([pattern(5, 1), secret, pattern(40, 2)])
const secrets = new Secrets()
secrets.add(Buffer.concat([pattern(32, 1), secret, pattern(32, 2)]))

const found = (said: string | Buffer): ReadonlyArray<string> =>
  secrets
    .findIn(Buffer.concat([Buffer.from("said: "), Buffer.from(said), Buffer.from(" and more\n")]))
    .filter((hit) => hit.secret.equals(secret))
    .map(({ form }) => form)

describe("a secret is found", () => {
  const said: Record<string, string | Buffer> = {
    "as bytes": secret,
    "as bytes within others": longer,
    "as a string of bytes": secret.toString("latin1"),
    "in hex": secret.toString("hex"),
    "in upper case": secret.toString("hex").toUpperCase(),
    "in the hex of something longer": `a${longer.toString("hex")}`,
    "in base64": secret.toString("base64"),
    "without padding": secret.toString("base64").replace("=", ""),
    "in base64url": secret.toString("base64url"),
    "in the base64 of something longer": longer.toString("base64"),
    "in a buffer, inspected": util.inspect(secret),
    "in an array of bytes, inspected": util.inspect(new Uint8Array(secret)),
    "as numbers": `[${[...secret]}]`,
    "in JSON of bytes": JSON.stringify(new Uint8Array(secret)),
    "in JSON of a buffer": JSON.stringify(secret)
  }
  for (const [how, text] of Object.entries(said)) it(how, () => assert.isNotEmpty(found(text)))

  it("and only a whole one", () => {
    const almost = Buffer.from(secret)
    almost[31] = (almost[31] as number) ^ 1
    for (const form of ["hex", "base64", "latin1"] as const) assert.deepStrictEqual(found(almost.toString(form)), [])
    assert.deepStrictEqual(found(secret.subarray(0, 31)), [])
  })
})

describe("the search of a run", () => {
  // Vitest complains of the last worker, which has long ended, when its own process has no time to hear it.
  it("lets its process go on meanwhile", async () => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "ms-search-"))
    const size = 8 << 20
    fs.writeFileSync(path.join(dir, "1.stdout"), Buffer.alloc(size, "no secret "))
    fs.writeFileSync(path.join(dir, "1.secrets"), secret)
    let turns = 0
    const timer = setInterval(() => turns++, 0)
    const { hits, said, secrets } = await search(dir)
    clearInterval(timer)
    fs.rmSync(dir, { recursive: true })
    assert.deepStrictEqual([hits, said, secrets], [[], size, 1])
    assert.isAtLeast(turns, 4)
  })
})

/** How each leak of the fixture is told. What a process says as a whole is of no one test. */
const channels: Record<string, RegExp> = {
  console: /^console, as spaced hex, .* > leaks by console:/m,
  log: /^console, as base64, .* > leaks by log:/m,
  stdout: /^stdout, as hex/m,
  stderr: /^stderr, as raw/m,
  error: /^errors, as base64, .* > leaks by error:/m,
  span: /^spans, as numbers, .* > leaks by span:/m,
  event: /^events, as hex, .* > leaks by event:/m,
  child: /^stdout, as numbers/m
}

/** A test run within this one, with secrets of its own. */
const runOf = (leaks: ReadonlyArray<string>): Promise<{ readonly failed: boolean; readonly output: string }> =>
  new Promise((resolve) => {
    const vitest = fileURLToPath(new URL("../../node_modules/vitest/vitest.mjs", import.meta.url))
    const config = fileURLToPath(new URL("./leaks.config.ts", import.meta.url))
    const root = fileURLToPath(new URL("../..", import.meta.url))
    const env = { ...process.env, LEAK: leaks.join(), SECRETS_SCAN_DIR: "", NODE_OPTIONS: "" }
    execFile(
      process.execPath,
      [vitest, "run", "--config", config, "--root", root],
      { cwd: root, env },
      (error, stdout, stderr) => resolve({ failed: error !== null, output: `${stdout}${stderr}` })
    )
  })

describe("blocks", () => {
  it("hold each secret of a long text whole", () => {
    const text = Buffer.alloc((2 << 20) + 5000, "x")
    const said = Buffer.from(` ${JSON.stringify(secret, null, 8)} `)
    for (let at = (1 << 20) - said.length; at <= 1 << 20; at += 97) {
      const whole = Buffer.from(text)
      whole.set(said, at)
      assert.isNotEmpty([...blocks(whole)].flatMap((block) => secrets.findIn(block)))
    }
  })

  it("are one of a short text, and of none", () => {
    assert.deepStrictEqual([...blocks(Buffer.alloc(0))].map(String), [""])
    assert.deepStrictEqual([...blocks(Buffer.from("short"))].map(String), ["short"])
  })
})

describe("a test run", () => {
  it("passes when it says no secret", async () => {
    const { failed, output } = await runOf([])
    assert.isFalse(failed, output)
    assert.match(output, /secrets: [1-9]\d* were used, and none was said/)
  })

  it("fails when it says one, and tells of each place", async () => {
    const { failed, output } = await runOf(Object.keys(channels))
    assert.isTrue(failed, output)
    for (const told of Object.values(channels)) assert.match(output, told, output)
  })
})
