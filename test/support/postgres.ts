/** A PostgreSQL of its own, in a temporary folder, on a unix socket only: the one of the machine is left alone. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** Debian keeps the server's programs out of the path. */
const find = (): string | undefined => {
  const debian = "/usr/lib/postgresql"
  const versions = fs.existsSync(debian)
    ? fs.readdirSync(debian).map((version) => path.join(debian, version, "bin"))
    : []
  return [...versions, ...(process.env.PATH ?? "").split(path.delimiter)].find((folder) =>
    ["initdb", "postgres"].every((program) => fs.existsSync(path.join(folder, program)))
  )
}

const installer = fileURLToPath(new URL("../../scripts/install-postgresql.sh", import.meta.url))
if (find() === undefined) spawnSync("bash", [installer], { stdio: "inherit" })
const programs = find()

/** Whether this machine has one. */
export const hasPostgres = programs !== undefined
if (!hasPostgres) console.error("NOT TESTED: there is no PostgreSQL on this machine, so no cluster with real storage")

/** PostgreSQL refuses to run as root, so root runs it as the user that Debian makes for it. */
const asUser = (program: string, args: ReadonlyArray<string>): readonly [string, ReadonlyArray<string>] => {
  const command = path.join(programs ?? "", program)
  return process.getuid?.() === 0 ? ["runuser", ["-u", "postgres", "--", command, ...args]] : [command, args]
}

const ended = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
  })

/** The URL of the server, as long as the scope. Nothing is synced to the disk: it is thrown away. */
export const postgres: Effect.Effect<string, never, Scope.Scope> = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "ms-pg-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  )
  const data = path.join(folder, "data")
  if (process.getuid?.() === 0) spawnSync("chown", ["postgres", folder])
  const [init, initArgs] = asUser("initdb", [
    ...["-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--no-instructions", "--locale=C", "--encoding=UTF8"]
  ])
  const made = spawnSync(init, initArgs, { encoding: "utf8", cwd: folder })
  if (made.status !== 0) return yield* Effect.die(new Error(`initdb failed: ${made.stderr}${made.error ?? ""}`))
  const settings = ["listen_addresses=", "fsync=off", "autovacuum=off", "max_connections=60", "shared_buffers=16MB"]
  const [serve, serveArgs] = asUser("postgres", [
    ...["-D", data, "-k", folder],
    ...settings.flatMap((setting) => ["-c", setting])
  ])
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(serve, serveArgs, { stdio: ["ignore", "ignore", "pipe"], cwd: folder })),
    // Its fast way to stop. `runuser` passes on SIGTERM only, and then waits for all sessions.
    (child) =>
      Effect.andThen(
        Effect.sync(() => {
          const [pid = ""] = fs.readFileSync(path.join(data, "postmaster.pid"), "utf8").split("\n")
          process.kill(Number(pid), "SIGINT")
        }).pipe(Effect.ignoreCause),
        ended(child)
      )
  )
  yield* Effect.callback<void>((resume) => {
    let said = ""
    child.stderr.on("data", (chunk) => {
      said += chunk
      if (said.includes("ready to accept connections")) resume(Effect.void)
    })
    child.once("exit", (code) => resume(Effect.die(new Error(`postgres ended with ${code}: ${said}`))))
  })
  return `postgres:///postgres?host=${folder}&user=postgres`
})
