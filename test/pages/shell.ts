/** Runs the shell blocks of a page, with this checkout as the installed package. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Said } from "../cli/said.ts"
import { folder, patience } from "../cli/support.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** One run of a block, by a shell that stops at the first failure. */
export class Shell extends Said {
  private readonly child: ChildProcessWithoutNullStreams

  constructor(text: string, cwd: string, env: Readonly<Record<string, string>>) {
    super()
    this.child = spawn("sh", ["-ec", text], { cwd, env: { ...patience, ...env }, detached: true })
    this.child.stdout.on("data", (chunk: Buffer) => this.wrote(chunk))
    this.child.stderr.on("data", (text) => this.said(String(text)))
    this.child.stdin.end()
    this.child.on("close", (code, signal) => this.over(code ?? signal ?? "unknown"))
  }

  get pid(): number | undefined {
    return this.child.pid
  }

  /** Sends a signal to the shell and to what it runs. */
  kill(signal: NodeJS.Signals): Effect.Effect<void> {
    const { exitCode, pid, signalCode } = this.child
    return Effect.sync(() => {
      if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, signal)
    })
  }
}

/**
 * `npm install` without a registry: the packages that it is told to install have to be this one or those that it stands
 * on. Everything else is npm's.
 */
const npm = `#!/bin/sh
test "$1" = install || exec "$NPM" "$@"
shift
test "$1" = --prefix && { mkdir -p "$2" && cd "$2" && shift 2; }
mkdir -p node_modules/.bin node_modules/@effect
for name in "$@"; do
  test "$name" = effect-multiserver && from="${root}" || from="${root}/node_modules/$name"
  test -f "$from/package.json" && ln -s "\${from%/}" "node_modules/$name" || exit 1
done
ln -s "${path.join(root, "dist/cli/main.js")}" node_modules/.bin/multiserver
`

export interface Machine {
  readonly folder: string
  /** Starts a block. What it starts is killed with the scope. */
  readonly start: (text: string, env?: Readonly<Record<string, string>>) => Effect.Effect<Shell, never, Scope.Scope>
  /** Puts a program on the path. */
  readonly program: (name: string, text: string) => void
}

const npmOf = (): string => {
  const places = (process.env.PATH ?? "").split(path.delimiter)
  return places.map((place) => path.join(place, "npm")).find((file) => fs.existsSync(file)) ?? "npm"
}

/** An empty folder, with Node 24 and npm on the path. It is gone with the scope. */
export const machine: Effect.Effect<Machine, never, Scope.Scope> = Effect.gen(function* () {
  const home = yield* folder
  const bin = yield* folder
  const program = (name: string, text: string) => fs.writeFileSync(path.join(bin, name), text, { mode: 0o755 })
  program("npm", npm)
  fs.symlinkSync(path.join(root, "node_modules/.bin/node"), path.join(bin, "node"))
  return {
    folder: home,
    program,
    start: (text, env = {}) =>
      Effect.acquireRelease(
        Effect.sync(
          () => new Shell(text, home, { PATH: `${bin}:${process.env.PATH ?? ""}`, NPM: npmOf(), HOME: home, ...env })
        ),
        (shell) => Effect.andThen(shell.kill("SIGKILL"), shell.exit)
      )
  }
})

/** Runs a block to its end, which has to be a success. What it printed. */
export const ran = (machine: Machine, text: string, env: Readonly<Record<string, string>> = {}) =>
  Effect.flatMap(machine.start(text, env), ({ exit }) =>
    Effect.flatMap(exit, ({ code, stderr, stdout }) =>
      code === 0
        ? Effect.succeed(String(stdout).trim())
        : Effect.die(new Error(`${text}\nended with ${code}: ${stderr}`))
    )
  )
