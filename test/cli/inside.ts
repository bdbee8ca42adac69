/**
 * The command within the test's process, by its program: for tests of what it says and what it answers with, which
 * would spend most of their time on starting processes. What a process is needed for (exit codes, signals, pipes, the
 * environment) runs one, by `start`.
 */
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Terminal from "effect/Terminal"
import { program } from "../../src/cli/program.ts"
import { recorder } from "../secrets/recorder.ts"
import { type Ended, Said } from "./said.ts"
import { patience } from "./support.ts"

export interface Options {
  readonly env?: Record<string, string>
  /** Whether stderr is a terminal, and whether stdout is. By default neither is. */
  readonly terminal?: { readonly stderr: boolean; readonly stdout: boolean }
}

/** A console whose lines go where a process's would. */
const consoleOf = (out: (text: string) => void, error: (text: string) => void): Console.Console =>
  Object.assign(Object.create(console), {
    log: (text: string) => out(`${text}\n`),
    error: (text: string) => error(`${text}\n`)
  })

/** This process has no terminal of its own, and its stdin is not for the program. */
const noTerminal = Layer.succeed(
  Terminal.Terminal,
  Terminal.make({
    columns: Effect.succeed(80),
    rows: Effect.succeed(24),
    size: Effect.die("nobody looks"),
    readInput: Effect.die("nobody is asked anything"),
    readLine: Effect.die("nobody is asked anything"),
    display: () => Effect.void
  })
)

const platform = NodeChildProcessSpawner.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, noTerminal))
)

/** One run of the program. */
export class Inside extends Said {
  private readonly stdin = Effect.runSync(Queue.unbounded<Uint8Array, Cause.Done>())
  private readonly fiber: Fiber.Fiber<number, unknown>

  constructor(args: ReadonlyArray<string>, { env = {}, terminal }: Options) {
    super()
    const stdio = Stdio.layerTest({
      args: Effect.succeed(args),
      stdin: Stream.fromQueue(this.stdin),
      stdout: () => Sink.forEach((chunk: string | Uint8Array) => Effect.sync(() => this.wrote(Buffer.from(chunk)))),
      stderr: () => Sink.forEach((chunk: string | Uint8Array) => Effect.sync(() => this.said(String(chunk)))),
      stderrIsTerminal: Effect.succeed(terminal?.stderr ?? false),
      stdoutIsTerminal: Effect.succeed(terminal?.stdout ?? false)
    })
    const text = consoleOf(
      (text) => this.wrote(Buffer.from(text)),
      (text) => this.said(text)
    )
    // With a root of its own: within one fiber tree, a layer is built once, and this one is of these arguments.
    this.fiber = Effect.runFork(
      program.pipe(
        Effect.provide(Layer.mergeAll(platform, stdio)),
        Effect.provideService(Console.Console, text),
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: { ...patience, ...env } }))
      )
    )
    this.fiber.addObserver((exit) => this.over(Exit.isSuccess(exit) ? exit.value : Cause.pretty(exit.cause)))
  }

  // It is searched for secrets as what a process says is.
  protected override wrote(chunk: Buffer): void {
    recorder.say("stdout", chunk)
    super.wrote(chunk)
  }

  protected override said(text: string): void {
    recorder.say("stderr", text)
    super.said(text)
  }

  write(bytes: Uint8Array | string): Effect.Effect<void> {
    return Effect.asVoid(Queue.offer(this.stdin, Buffer.from(bytes)))
  }

  end(bytes: Uint8Array | string = ""): Effect.Effect<void> {
    return Effect.andThen(bytes.length === 0 ? Effect.void : this.write(bytes), Queue.end(this.stdin))
  }

  /** What a first signal does. */
  get interrupt(): Effect.Effect<void> {
    return Fiber.interrupt(this.fiber)
  }
}

/** Starts the program; it is interrupted with the scope when it hasn't ended. */
export const startInside = (
  args: ReadonlyArray<string>,
  options: Options = {}
): Effect.Effect<Inside, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Inside(args, options)),
    ({ interrupt }) => interrupt
  )

/** Runs the program to its end with this on stdin. */
export const inside = (
  args: ReadonlyArray<string>,
  options: Options & { readonly input?: Uint8Array | string } = {}
): Effect.Effect<Ended, never, Scope.Scope> =>
  Effect.gen(function* () {
    const own = yield* startInside(args, options)
    yield* own.end(options.input)
    return yield* own.exit
  })

/** A listener, and where it listens. */
export const listenInside = (
  ...args: ReadonlyArray<string>
): Effect.Effect<{ readonly listener: Inside; readonly address: string }, never, Scope.Scope> =>
  Effect.gen(function* () {
    const listener = yield* startInside(["listen", "--json", ...args])
    return { listener, address: yield* listener.address }
  })

/** The same for a relay to this address. */
export const bridgeInside = (
  ...args: ReadonlyArray<string>
): Effect.Effect<{ readonly bridge: Inside; readonly address: string }, never, Scope.Scope> =>
  Effect.gen(function* () {
    const bridge = yield* startInside(["bridge", "--json", ...args])
    return { bridge, address: yield* bridge.address }
  })
