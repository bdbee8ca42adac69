/** ssb-lan itself, as a peer in the same network. */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Address from "../../src/Address.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Identity from "../../src/Identity.ts"
import * as Lan from "../../src/Lan.ts"
import { addressAt, freePort, keyPair, network } from "./support.ts"

const Line = Schema.fromJsonString(
  Schema.Union([
    Schema.Struct({ key: Schema.String }),
    Schema.Struct({ address: Schema.String, verified: Schema.Boolean })
  ])
)

/** Starts it, and gives what it prints. */
const ssbLan = (...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const lines = yield* Queue.unbounded<typeof Line.Type>()
    const script = fileURLToPath(new URL("ssb-lan.cjs", import.meta.url))
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "pipe"] })),
      (child) =>
        Effect.callback<void>((resume) => {
          if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
          child.once("exit", () => resume(Effect.void))
          child.kill("SIGKILL")
        })
    )
    let stderr = ""
    child.stderr.on("data", (text) => {
      stderr += text
    })
    createInterface({ input: child.stdout }).on("line", (line) => {
      Queue.offerUnsafe(lines, Schema.decodeUnknownSync(Line)(line))
    })
    child.once("close", () => Queue.failCauseUnsafe(lines, Cause.die(new Error(`ssb-lan ended: ${stderr}`))))
    return lines
  })

describe("ssb-lan", () => {
  it.live("hears us and is heard, with signatures and without", () =>
    Effect.gen(function* () {
      const [port, legacy] = [yield* freePort, yield* freePort]
      const here = yield* Lan.source({ port, legacy, wait: "10 minutes" })
      const caps = Buffer.from(network.appKey).toString("base64")
      const lines = yield* ssbLan(`${port}`, `${legacy}`, caps, "4321")
      const first = yield* Queue.take(lines)
      const key = "key" in first ? Identity.parsePublicKey(first.key) : undefined
      assert.isDefined(key)
      if (key === undefined) return

      const theirs = `net:127.0.0.1:4321~shs:${Identity.formatPublicKey(key)}`
      const heard = yield* Stream.runHead(here.find(key))
      assert.deepStrictEqual(Option.getOrUndefined(heard), { _tag: "Heard", addresses: [theirs] })

      const pair = yield* keyPair
      const ours = addressAt("127.0.0.1", pair, 1234)
      const noise = ours.replace("~shs", "~noise")
      const addresses = [noise, ours].flatMap((text) => Result.getOrThrow(Address.parse(text)))
      yield* Lan.announce({ addresses: () => addresses }, { port, legacy, scope: "device" }).pipe(
        Effect.provideService(Identity.Identity, pair)
      )
      const told = new Set<string>()
      while (told.size < 2) told.add(JSON.stringify(yield* Queue.take(lines)))
      const address = `${noise};${ours}`
      const expected = [true, false].map((verified) => JSON.stringify({ address, verified }))
      assert.deepStrictEqual([...told].sort(), expected.sort())
    }).pipe(Effect.provide(Sodium.layer))
  )
})
