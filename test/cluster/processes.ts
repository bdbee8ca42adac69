/** The processes of a cluster: examples/cluster/runner.ts, and a client that does what it is told. */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Identity from "../../src/Identity.ts"
import { Said } from "../cli/said.ts"
import { patience } from "../cli/support.ts"
import { bundle } from "../support/bundle.ts"

/** The programs, bundled into a folder of the test's own: each starts in a third of the time. */
export const programs = (name: string) =>
  bundle(name, {
    runner: new URL("../../examples/cluster/runner.ts", import.meta.url),
    client: new URL("client.ts", import.meta.url),
    asked: new URL("../../examples/cluster/client.ts", import.meta.url)
  })

/** What a client says of calls that it was told to make. */
const Done = Schema.fromJsonString(
  Schema.Struct({
    event: Schema.Literal("done"),
    name: Schema.String,
    count: Schema.Int,
    /** Times in milliseconds. */
    p50: Schema.Number,
    p99: Schema.Number,
    slowest: Schema.Number,
    answers: Schema.Array(Schema.String)
  })
)
const decodeDone = Schema.decodeUnknownSync(Done)

export class Process extends Said {
  private readonly child: ChildProcessWithoutNullStreams

  constructor(program: string, env: Readonly<Record<string, string>>) {
    super()
    this.child = spawn(process.execPath, [program], { env: { PATH: process.env.PATH ?? "", ...patience, ...env } })
    this.child.stdout.on("data", (chunk: Buffer) => this.wrote(chunk))
    this.child.stderr.on("data", (text) => this.said(String(text)))
    this.child.stdin.on("error", () => {})
    this.child.on("close", (code, signal) => this.over(code ?? signal ?? "unknown"))
  }

  kill(signal: NodeJS.Signals): Effect.Effect<void> {
    return Effect.sync(() => void this.child.kill(signal))
  }

  /** The address that a runner prints when it runs. */
  get runsAt(): Effect.Effect<string> {
    return Effect.map(this.printed(/^runs at \S+$/m), (text) => /^runs at (\S+)$/m.exec(text)?.[1] ?? "")
  }

  /** Tells a client to make calls. */
  order(order: {
    readonly name: string
    readonly what: "Add" | "WhereAreYou"
    readonly count: number
    readonly counters: number
    readonly atOnce: number
    readonly pause?: number
  }): Effect.Effect<void> {
    return Effect.sync(() => void this.child.stdin.write(`${JSON.stringify(order)}\n`))
  }

  /** Waits until so many of the calls are answered. */
  answered(name: string, count: number): Effect.Effect<unknown> {
    return this.printed(new RegExp(`^${JSON.stringify({ event: "answered", name, count })}$`, "m"))
  }

  /** Waits until all of the calls are answered. */
  done(name: string): Effect.Effect<typeof Done.Type> {
    const wanted = new RegExp(`^${JSON.stringify({ event: "done", name }).slice(0, -1)}.*$`, "m")
    return Effect.map(this.printed(wanted), (text) => decodeDone(wanted.exec(text)?.[0]))
  }
}

/** A process as long as the scope. */
export const start = (
  program: string,
  env: Readonly<Record<string, string>>
): Effect.Effect<Process, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Process(program, env)),
    (child) => Effect.andThen(child.kill("SIGKILL"), child.exit)
  )

/** Writes the secret file of an identity. */
export const keyFile = (folder: string, name: string, pair: Identity.KeyPair): string => {
  const file = path.join(folder, name)
  fs.writeFileSync(file, Identity.formatSecretFile(pair), { mode: 0o600 })
  return file
}

/** Short intervals, so that the tests wait for little. */
export const quick = {
  SHARDS_PER_GROUP: "60",
  REFRESH_ASSIGNMENTS_INTERVAL: "300 millis",
  RUNNER_HEALTH_CHECK_INTERVAL: "1 second",
  ENTITY_MESSAGE_POLL_INTERVAL: "1 second",
  SHARD_LOCK_REFRESH_INTERVAL: "2 seconds",
  SHARD_LOCK_EXPIRATION: "10 seconds"
}
