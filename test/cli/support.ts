/** The compiled command as a process of its own. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type Ended, Said } from "./said.ts"

export { type Ended, type Event, eventsOf } from "./said.ts"

const command = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url))

/** What is waited for is the other end, however busy the machine is: no deadline of ours is in the way. */
export const patience = { MULTISERVER_HANDSHAKE: "10 minutes", MULTISERVER_CLOSE: "1 minute" }

export interface Options {
  readonly env?: Record<string, string>
  readonly cwd?: string
  /** Leaves stdout unread until `collect`. */
  readonly unread?: boolean
  /** How a shell starts it, with the command as `"$@"`: `"$@" >/dev/full`. */
  readonly shell?: string
}

/** One run of the command. */
export class Run extends Said {
  readonly child: ChildProcessWithoutNullStreams
  private readonly isGroup: boolean
  private hasClosed = false

  constructor(args: ReadonlyArray<string>, { cwd, env = {}, shell, unread = false }: Options) {
    super()
    const own = [process.execPath, command, ...args]
    const [program = "", ...rest] = shell === undefined ? own : ["sh", "-c", shell, "sh", ...own]
    // A shell's processes are a group, so that all of them can be killed.
    this.isGroup = shell !== undefined
    this.child = spawn(program, rest, {
      detached: this.isGroup,
      ...(cwd === undefined ? {} : { cwd }),
      env: { PATH: process.env.PATH ?? "", ...patience, ...env }
    })
    this.child.stderr.on("data", (text) => this.said(String(text)))
    // A process that has ended reads no more.
    this.child.stdin.on("error", () => {})
    this.child.on("close", (code, signal) => {
      this.hasClosed = true
      this.over(code ?? signal ?? "unknown")
    })
    if (!unread) this.collect()
  }

  collect(): void {
    this.child.stdout.on("data", (chunk: Buffer) => this.wrote(chunk))
  }

  /** Succeeds when the pipe has taken it. */
  write(bytes: Uint8Array | string): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.child.stdin.write(bytes, () => resume(Effect.void))
    })
  }

  /** The end of stdin, after these bytes. */
  end(bytes: Uint8Array | string = ""): Effect.Effect<void> {
    return Effect.sync(() => void this.child.stdin.end(bytes))
  }

  kill(signal: NodeJS.Signals): Effect.Effect<void> {
    return Effect.sync(() => void this.child.kill(signal))
  }

  /** Kills it with what it has started, which would keep its pipes open. */
  readonly destroy: Effect.Effect<void> = Effect.suspend(() => {
    const { pid } = this.child
    if (!this.isGroup || this.hasClosed || pid === undefined) return this.kill("SIGKILL")
    // The group may be gone at this moment.
    return Effect.ignore(Effect.try(() => process.kill(-pid, "SIGKILL")))
  })
}

/** Starts the command; it is killed with the scope when it hasn't ended. */
export const start = (args: ReadonlyArray<string>, options: Options = {}): Effect.Effect<Run, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Run(args, options)),
    (run) => Effect.andThen(run.destroy, run.exit)
  )

/** Runs the command to its end with this on stdin. */
export const run = (
  args: ReadonlyArray<string>,
  options: Options & { readonly input?: Uint8Array | string } = {}
): Effect.Effect<Ended, never, Scope.Scope> =>
  Effect.gen(function* () {
    const own = yield* start(args, options)
    yield* own.end(options.input)
    return yield* own.exit
  })

/** A listener, and where it listens. */
const listenWith =
  (options: Options) =>
  (
    ...args: ReadonlyArray<string>
  ): Effect.Effect<{ readonly listener: Run; readonly address: string }, never, Scope.Scope> =>
    Effect.gen(function* () {
      const listener = yield* start(["listen", "--json", ...args], options)
      return { listener, address: yield* listener.address }
    })

export const listen = listenWith({})

/** A listener that gives so much time at a signal. */
export const listenGranting = (grace: string) => listenWith({ env: { MULTISERVER_GRACE: grace } })

/** A relay that gives so much time at a signal, and where it listens. */
export const bridgeGranting =
  (grace: string) =>
  (
    ...args: ReadonlyArray<string>
  ): Effect.Effect<{ readonly bridge: Run; readonly address: string }, never, Scope.Scope> =>
    Effect.gen(function* () {
      const bridge = yield* start(["bridge", "--json", ...args], { env: { MULTISERVER_GRACE: grace } })
      return { bridge, address: yield* bridge.address }
    })

/** Waits until nothing listens at this `net:` address any more: a listener that stops unbinds first. */
export const unbound = (address: string): Effect.Effect<void> => {
  const [, host = "", port] = /^net:([^~]+):(\d+)/.exec(address) ?? []
  const isRefused = Effect.callback<boolean>((resume) => {
    const socket = connect(Number(port), host)
    const done = (refused: boolean) => {
      socket.destroy()
      resume(Effect.succeed(refused))
    }
    socket.once("connect", () => done(false)).once("error", () => done(true))
  })
  return Effect.asVoid(Effect.repeat(Effect.delay(isRefused, "10 millis"), { until: (refused) => refused }))
}

/** A folder that is gone with the test. */
export const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "multiserver-cli-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** A copy of a file that only its owner may read. Git keeps no modes, and a key that others can read is refused. */
export const privateCopy = (file: string) =>
  Effect.map(folder, (directory) => {
    const copy = join(directory, basename(file))
    copyFileSync(file, copy)
    chmodSync(copy, 0o600)
    return copy
  })

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")
