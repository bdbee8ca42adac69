/** Says secrets in every way that is searched, for `scan.test.ts`, which runs it in a test run of its own. */
import { spawn } from "node:child_process"
import { createRequire } from "node:module"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ConnectionError, Truncated } from "../../src/ConnectionError.ts"
import * as Events from "../../src/Events.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Memory from "../../src/memory/Memory.ts"
import { primitives } from "../support/primitives.ts"
import { served } from "../support/servers.ts"

/** One that this process has used. */
const secret = (): Buffer => Buffer.from(primitives.random(32))

const leaks: Record<string, Effect.Effect<unknown>> = {
  console: Effect.sync(() => console.log("console", secret())),
  log: Effect.suspend(() => Effect.logInfo("log", { key: secret().toString("base64url") })),
  stdout: Effect.sync(() => process.stdout.write(secret().toString("hex"))),
  stderr: Effect.sync(() => process.stderr.write(secret())),
  error: Effect.sync(
    () => new ConnectionError({ remote: `shs:${secret().toString("base64")}`, reason: new Truncated() })
  ),
  span: Effect.suspend(() => Effect.withSpan(Effect.void, "leak", { attributes: { seed: [...secret()] } })),
  event: Effect.gen(function* () {
    const name = secret().toString("hex")
    yield* served(`memory:${name}`, () => Effect.void)
    yield* Effect.scoped(Multiserver.dial(`memory:${name}`))
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Multiserver.layer(["memory"]).pipe(Layer.provide([Memory.layer(), Events.layer(() => Effect.void)]))
    ),
    Effect.orDie
  ),
  // With an environment of its own, and nobody who reads what it says.
  child: Effect.callback<void>((resume) => {
    const sodium = createRequire(import.meta.url).resolve("sodium-native")
    const script = `const s = require(${JSON.stringify(sodium)}), b = Buffer.alloc(32); s.randombytes_buf(b); console.log(JSON.stringify([...b]))`
    spawn(process.execPath, ["-e", script], { env: {}, stdio: ["ignore", "pipe", "ignore"] }).once("exit", () =>
      resume(Effect.void)
    )
  })
}

const asked = (process.env.LEAK ?? "").split(",")

for (const [name, leak] of Object.entries(leaks)) {
  it.live(`leaks by ${name}`, () => (asked.includes(name) ? leak : Effect.sync(() => void secret())))
}
