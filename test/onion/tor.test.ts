/**
 * `onion` against a real Tor: a network of its own on this machine (private-tor.sh), which takes half a minute to
 * stand.
 */
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as AppKey from "../../src/AppKey.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Onion from "../../src/onion/Onion.ts"
import { appKeyBytes, theirs } from "../interop/setup.ts"
import { echo, pattern, protocols, readAll, sameBytes, served } from "../support/servers.ts"

const script = fileURLToPath(new URL("private-tor.sh", import.meta.url))
const installer = fileURLToPath(new URL("../../scripts/install-tor.sh", import.meta.url))

const present = () => spawnSync("sh", ["-c", "command -v tor && command -v tor-gencert"]).status === 0
if (!present()) spawnSync("bash", [installer], { stdio: "inherit" })
if (!present()) console.error("NOT TESTED: there is no tor on this machine, so onion was not tested against one")

const basePort = 17_400

/**
 * npm multiserver dials through 9050, then 9150, and can't be told otherwise. `undefined`: both are taken, by a Tor
 * perhaps.
 */
const fixedPort = Effect.gen(function* () {
  for (const port of [9050, 9150]) {
    const free = yield* Effect.callback<boolean>((resume) => {
      const server = net.createServer()
      server.once("error", () => resume(Effect.succeed(false)))
      server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(true))))
    })
    if (free) return port
  }
  return undefined
})

/** The network, leading to a local port, for as long as the scope; the name of its service. */
const privateTor = (target: number, socksPort: number) =>
  Effect.gen(function* () {
    const dir = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "ms-tor-"))),
      (dir) => Effect.sync(() => fs.rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
    )
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn("bash", [script, dir, String(basePort), String(socksPort), String(target)], {
          stdio: ["pipe", "pipe", "pipe"]
        })
      ),
      // The script ends all that it started when its stdin ends.
      (child) =>
        Effect.callback<void>((resume) => {
          if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
          child.on("exit", () => resume(Effect.void))
          child.stdin.end()
        })
    )
    return yield* Effect.callback<string>((resume) => {
      let said = ""
      let warned = ""
      child.stderr.on("data", (chunk) => {
        warned += chunk
      })
      child.on("exit", (code) => resume(Effect.die(new Error(`the network did not come up (${code}): ${warned}`))))
      child.stdout.on("data", (chunk) => {
        said += chunk
        const name = /^ready (\S+)$/m.exec(said)?.[1]
        if (name !== undefined) resume(Effect.succeed(name))
      })
    })
  })

describe.runIf(present())("onion through a real Tor", () => {
  it.live(
    "reaches our net~shs listener behind an onion service, dialed by us and by npm multiserver",
    () =>
      Effect.gen(function* () {
        const fixed = yield* fixedPort
        const socksPort = fixed ?? 17_390
        const layer = Multiserver.layer(["net~shs", "onion~shs"]).pipe(
          Layer.provide([protocols(), Onion.layer({ proxies: [{ host: "127.0.0.1", port: socksPort }] })]),
          Layer.provide(AppKey.layer(Redacted.make(appKeyBytes)))
        )
        yield* Effect.gen(function* () {
          const [address] = yield* served("net:127.0.0.1:0~shs", echo)
          const port = address?.transport._tag === "net" ? address.transport.port : 0
          const name = yield* privateTor(port, socksPort)
          const target = String(address).replace(/^net:[^~]*/, `onion:${name}:8008`)
          // The service's descriptor is published a little after Tor says that it is ready.
          const connection = yield* Multiserver.dial(target).pipe(
            Effect.retry({ while: (error) => error.isRetryable, schedule: Schedule.spaced("2 seconds") }),
            Effect.timeout("4 minutes")
          )
          assert.strictEqual(String(connection.remote), target)
          assert.strictEqual(connection.peer._tag, "Authenticated")
          // Our end is a goodbye and no FIN, which would end both directions in Tor.
          yield* Effect.forkChild(Effect.andThen(connection.write(pattern(1 << 20)), connection.end))
          assert.isTrue(sameBytes(yield* readAll(connection), pattern(1 << 20)))

          if (fixed === undefined)
            return console.error("NOT TESTED: npm multiserver through Tor, whose ports are taken")
          // 3.8.2 sends a FIN with its goodbye, so there it has to wait for what it is owed.
          const peer = yield* theirs
          yield* peer.dial(target, { body: { bytes: 100_000, seed: 5, patient: true } })
          const exchanged = yield* peer.next("exchanged")
          // That FIN ends both directions, so our goodbye no longer reaches it: every byte has.
          assert.deepStrictEqual(exchanged.received, exchanged.sent)
          assert.strictEqual(exchanged.sent.bytes, 100_000)
        }).pipe(Effect.provide(layer))
      }),
    600_000
  )
})
