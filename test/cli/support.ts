/** The compiled command as a process of its own, with the Node that runs the tests. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

const command = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url))

/** An event of `--json`: what it is called, and whatever else it has. */
const Event = Schema.fromJsonString(
  Schema.Struct({
    event: Schema.String,
    role: Schema.optionalKey(Schema.String),
    from: Schema.optionalKey(Schema.String),
    address: Schema.optionalKey(Schema.String),
    addresses: Schema.optionalKey(Schema.Array(Schema.String)),
    peer: Schema.optionalKey(Schema.NullOr(Schema.String)),
    bytesRead: Schema.optionalKey(Schema.Number),
    bytesWritten: Schema.optionalKey(Schema.Number),
    tag: Schema.optionalKey(Schema.String),
    reason: Schema.optionalKey(Schema.String),
    message: Schema.optionalKey(Schema.String),
    attempts: Schema.optionalKey(
      Schema.Array(Schema.Struct({ address: Schema.String, reason: Schema.String, message: Schema.String }))
    )
  })
)
export type Event = typeof Event.Type
const decode = Schema.decodeUnknownResult(Event)

/** The events of a process that ran with `--json`: each line has to be one. */
export const eventsOf = (stderr: string): ReadonlyArray<Event> =>
  stderr
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => Result.getOrThrowWith(decode(line), () => new Error(`stderr has a line that is no event: ${line}`)))

export interface Ended {
  /** The exit code, or the name of the signal that killed it. */
  readonly code: number | string
  readonly stdout: Buffer
  readonly stderr: string
}

export interface Options {
  readonly env?: Record<string, string>
  readonly cwd?: string
  /** Leaves stdout unread until `collect`. */
  readonly unread?: boolean
}

/** One run of the command. */
export class Run {
  readonly child: ChildProcessWithoutNullStreams
  private readonly out: Array<Buffer> = []
  private err = ""
  private ended: Ended | undefined
  private readonly waiting = new Set<() => void>()

  constructor(args: ReadonlyArray<string>, { cwd, env = {}, unread = false }: Options) {
    this.child = spawn(process.execPath, [command, ...args], {
      ...(cwd === undefined ? {} : { cwd }),
      env: { PATH: process.env.PATH ?? "", ...env }
    })
    this.child.stderr.on("data", (text) => {
      this.err += text
      this.changed()
    })
    // A process that has ended reads no more.
    this.child.stdin.on("error", () => {})
    this.child.on("close", (code, signal) => {
      this.ended = { code: code ?? signal ?? "unknown", stdout: Buffer.concat(this.out), stderr: this.err }
      this.changed()
    })
    if (!unread) this.collect()
  }

  collect(): void {
    this.child.stdout.on("data", (chunk: Buffer) => {
      this.out.push(chunk)
      this.changed()
    })
  }

  private changed(): void {
    for (const check of this.waiting) check()
  }

  private until<A>(what: () => A | undefined): Effect.Effect<A> {
    return Effect.callback<A>((resume) => {
      const check = () => {
        const got = what()
        if (got === undefined) return
        this.waiting.delete(check)
        resume(Effect.succeed(got))
      }
      this.waiting.add(check)
      check()
      return Effect.sync(() => this.waiting.delete(check))
    })
  }

  /** Whole lines of stderr so far, as events. */
  events(): ReadonlyArray<Event> {
    return eventsOf(this.err.slice(0, this.err.lastIndexOf("\n") + 1))
  }

  /** The first event of this kind; dies when the process ends without. */
  event(name: string): Effect.Effect<Event> {
    return Effect.flatMap(
      this.until(() => this.events().find((each) => each.event === name) ?? this.ended),
      (got) =>
        "event" in got ? Effect.succeed(got) : Effect.die(new Error(`no ${name}, but ${got.code}\n${got.stderr}`))
    )
  }

  /** The first lines of stderr, for a process that runs without `--json`. */
  lines(count: number): Effect.Effect<ReadonlyArray<string>> {
    return this.until(() => {
      const whole = this.err.split("\n").slice(0, -1)
      return whole.length >= count ? whole : undefined
    })
  }

  /** The address that a listener says first. */
  get address(): Effect.Effect<string> {
    return Effect.map(this.event("listening"), ({ addresses }) => addresses?.[0] ?? "")
  }

  /** Waits until stdout has at least so many bytes. */
  received(bytes: number): Effect.Effect<Buffer> {
    return this.until(() => {
      const all = Buffer.concat(this.out)
      return all.length >= bytes ? all : undefined
    })
  }

  get exit(): Effect.Effect<Ended> {
    return this.until(() => this.ended)
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
}

/** Starts the command; it is killed with the scope when it hasn't ended. */
export const start = (args: ReadonlyArray<string>, options: Options = {}): Effect.Effect<Run, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Run(args, options)),
    (run) => Effect.andThen(run.kill("SIGKILL"), run.exit)
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
export const listen = (
  ...args: ReadonlyArray<string>
): Effect.Effect<{ readonly listener: Run; readonly address: string }, never, Scope.Scope> =>
  Effect.gen(function* () {
    const listener = yield* start(["listen", "--json", ...args])
    return { listener, address: yield* listener.address }
  })

/** The same for a relay to this address. */
export const bridge = (
  ...args: ReadonlyArray<string>
): Effect.Effect<{ readonly bridge: Run; readonly address: string }, never, Scope.Scope> =>
  Effect.gen(function* () {
    const bridge = yield* start(["bridge", "--json", ...args])
    return { bridge, address: yield* bridge.address }
  })

/** A folder that is gone with the test. */
export const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "multiserver-cli-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")
