import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { inside } from "./inside.ts"
import { type Ended, eventsOf, folder, run } from "./support.ts"

const key = `${"K".repeat(42)}8=`
const seed = Buffer.from("a seed that must never be shown!")
const withSeed = `net:pub.example:8008~shs:${key}:${seed.toString("base64")}`

describe.concurrent("multiserver address", () => {
  it.live("explains each section to a person", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* inside(["address", `net:pub.example:8008~shs:${key}`])
      assert.strictEqual(code, 0)
      assert.strictEqual(stderr, "")
      for (const part of ["TCP", "pub.example", "8008", "encrypted", key, "This command speaks net~shs"]) {
        assert.include(String(stdout), part)
      }
    })
  )

  it.live("explains to a program with --json, a multi-address in its order", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* inside(["address", "--json", `${withSeed};wss://h/p~zstd:3`])
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(JSON.parse(String(stdout)), {
        addresses: [
          {
            address: `net:pub.example:8008~shs:${key}:<redacted>`,
            stack: "net~shs",
            spoken: true,
            sections: [
              { protocol: "net", host: "pub.example", port: 8008 },
              { protocol: "shs", key, seed: true }
            ]
          },
          {
            address: "wss://h/p~zstd:3",
            stack: "wss~zstd",
            spoken: false,
            sections: [
              { protocol: "wss", host: "h", port: 443, path: "/p" },
              { protocol: "zstd", data: ":3" }
            ]
          }
        ]
      })
    })
  )

  it.live("hides a token as it does a seed, and explains no protocol that it does not know", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* run(["address", `net:h:1~noise:${key}:${key}~constructor:x`])
      assert.strictEqual(code, 0)
      assert.include(stderr, "warning")
      assert.match(String(stdout), /noise .*\n +key .*\n +token hidden/)
      assert.match(String(stdout), /constructor not known here\n +data +:x/)
      assert.notInclude(String(stdout), "native code")
    })
  )

  it.live("points at the character where an address is none, and exits 2", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* inside(["address", "--json", "net:h:80~shs:short"])
      assert.strictEqual(code, 2)
      assert.strictEqual(String(stdout), "")
      const [error, ...more] = eventsOf(stderr)
      assert.lengthOf(more, 0)
      assert.deepInclude(error, { event: "error", tag: "AddressError", reason: "BadKey" })
      assert.include(error?.message, "character 13")
    })
  )

  it.live("reads MULTISERVER_ADDRESS and --address-file, and warns of a seed only in arguments", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "address")
      writeFileSync(file, `\n${withSeed}\n`)
      const named = yield* inside(["address", "--json", withSeed])
      const fromFile = yield* inside(["address", "--json", "--address-file", file])
      const fromEnvironment = yield* run(["address", "--json"], { env: { MULTISERVER_ADDRESS: withSeed } })
      assert.strictEqual(fromFile.code, 0)
      assert.deepStrictEqual(fromFile.stdout, named.stdout)
      assert.deepStrictEqual(fromEnvironment.stdout, named.stdout)
      assert.strictEqual(fromFile.stderr + fromEnvironment.stderr, "")
      const [warning, ...more] = eventsOf(named.stderr)
      assert.lengthOf(more, 0)
      assert.strictEqual(warning?.event, "warning")
    })
  )

  it.live("prefers the argument to the environment", () =>
    Effect.gen(function* () {
      const { stdout } = yield* inside(["address", "net:argument:1"], {
        env: { MULTISERVER_ADDRESS: "net:environment:1" }
      })
      assert.include(String(stdout), "argument")
      assert.notInclude(String(stdout), "environment")
    })
  )

  it.live("says which file can't be read, and exits 1", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* inside(["address", "--json", "--address-file", "absent"])
      assert.strictEqual(code, 1)
      assert.deepInclude(eventsOf(stderr)[0], { event: "error", tag: "LocalError", reason: "NotFound" })
    })
  )
})

describe.concurrent("a seed is nowhere in what is said of", () => {
  const base64 = seed.toString("base64")
  const dead = `net:127.0.0.1:1~shs:${key}:${base64}`
  const cases: ReadonlyArray<{ readonly what: string; readonly args: ReadonlyArray<string> }> = [
    { what: "a good address, explained", args: ["address", dead] },
    { what: "a good address, in JSON", args: ["address", dead, "--json"] },
    { what: "a dial that fails", args: ["connect", dead] },
    { what: "a dial that fails, in JSON", args: ["connect", dead, "--json"] },
    { what: "a stack that is not spoken", args: ["connect", `net:h:1~shs:${key}:${base64}~zstd`] },
    { what: "a bridge to a stack that is not spoken", args: ["bridge", "net:127.0.0.1:0", `${dead}~zstd`] },
    { what: "a probe that fails", args: ["probe", dead] },
    { what: "a probe that fails, in JSON", args: ["probe", dead, "--json"] },
    { what: "an address for a proxy", args: ["connect", "net:h:1", "--socks", dead] },
    { what: "an address for an origin", args: ["connect", "net:h:1", "--origin", dead] },
    { what: "an address for a scope", args: ["listen", "net:127.0.0.1:0", "--scope", dead] },
    { what: "an address for a host", args: ["listen", "net:127.0.0.1:0", "--external", dead] },
    { what: "an address that can't be bound", args: ["listen", `net:198.51.100.7:0~shs:${key}:${base64}`] },
    { what: "a bad port", args: ["address", `net:h:99999~shs:${key}:${base64}`] },
    { what: "something after the seed", args: ["connect", `net:h:1~shs:${key}:${base64}:more`] },
    { what: "a bad key", args: ["connect", `net:h:1~shs:short:${base64}`] },
    { what: "a seed in hex", args: ["connect", `net:h:1~shs:${key}:${seed.toString("hex")}`] },
    { what: "a raw seed", args: ["connect", `net:h:1~shs:${key}:${seed.toString("latin1")}`] },
    { what: "an address for a command", args: [dead] },
    { what: "a second address", args: ["connect", "net:h:1", dead] },
    { what: "an address for a duration", args: ["connect", "net:h:1", "--timeout", dead] },
    { what: "a seed for a flag", args: ["connect", "net:h:1", `--${base64}`] },
    { what: "a seed after one dash", args: ["connect", "net:h:1", `-${base64}`] },
    { what: "a seed for a switch", args: ["listen", "net:127.0.0.1:0~shs", `--echo=${base64}`] },
    { what: "an address for a key", args: ["listen", "net:127.0.0.1:0~shs", "--allow", dead] }
  ]
  const expectSilence = ({ stderr, stdout }: Ended) => {
    const said = String(stdout) + stderr
    assert.isNotEmpty(said)
    for (const shape of ["base64", "base64url", "hex", "latin1"] as const) {
      // A part of it would be too much already.
      assert.notInclude(said, seed.toString(shape).slice(0, 12))
      assert.notInclude(said, seed.toString(shape).slice(14, 26))
    }
  }
  it.live.each(cases)("$what", ({ args }) => Effect.map(inside(args), expectSilence))

  const inProcesses = cases.filter(({ what }) => /^a dial that fails$|^something after|^a seed for a flag/.test(what))
  it.live.each(inProcesses)("$what, by a process", ({ args }) => Effect.map(run(args), expectSilence))
})
