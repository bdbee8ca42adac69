/** WebSockets end alike on each runtime. Under Bun, `ws` is Bun's own, which tells of a Close at another moment. */
import { spawn, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { expected, outcomes } from "./runtimes.ts"

const installer = fileURLToPath(new URL("../../scripts/install-runtimes.sh", import.meta.url))
const script = fileURLToPath(new URL("./runtimes.ts", import.meta.url))

/** It comes from npm at the first run. */
const bun = spawnSync("bash", [installer, "bun"], { stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" })
  .stdout?.trim()
  .split("\t")[1]
if (!bun) console.error("NOT TESTED: there is no Bun on this machine, so WebSockets were not tested under it")

/** What the script prints. */
const printed = (runtime: string) =>
  Effect.callback<string>((resume) => {
    const child = spawn(runtime, [script], { stdio: ["ignore", "pipe", "inherit"] })
    let text = ""
    child.stdout.on("data", (data) => {
      text += data
    })
    child.once("error", (error) => resume(Effect.die(error)))
    child.once("close", (code) => {
      resume(code === 0 ? Effect.succeed(text) : Effect.die(new Error(`it ended with ${code}: ${text}`)))
    })
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

describe("a WebSocket", () => {
  it.live("hears and says the right thing under this Node", () =>
    Effect.map(outcomes, (heard) => assert.deepStrictEqual(heard, expected))
  )

  it.live.skipIf(!bun)("hears and says the same under Bun", () =>
    Effect.map(printed(bun ?? ""), (text) => assert.deepStrictEqual(JSON.parse(text), expected))
  )
})
