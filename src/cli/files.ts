/** What the command reads from files, which are given by path, as an open descriptor, or as stdin. */
import { createReadStream } from "node:fs"
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Struct from "effect/Struct"
import type { PrivateFileReason } from "../privateFile.ts"
import { readSecretFile } from "../secretFile.ts"
import { LocalError, localError, UsageError } from "./exit.ts"

export type Needs = FileSystem.FileSystem | Stdio.Stdio

/** The number of an open descriptor, of a path such as `/dev/fd/3`. A shell makes such a path of `<(command)`. */
const descriptorOf = (file: string): number | undefined => {
  if (file === "/dev/stdin") return 0
  const [, number] = /^\/(?:dev|proc\/self)\/fd\/(\d{1,6})$/.exec(file) ?? []
  return number === undefined ? undefined : Number(number)
}

const isStdin = (file: string): boolean => file === "-" || descriptorOf(file) === 0

/** The name of the file in messages. */
export const nameOf = (file: string): string => (isStdin(file) ? "stdin" : file)

/** Many times the size of any of these files. */
const maxBytes = 1024 * 1024

const tooLong = (name: string) => new LocalError({ kind: "TooLong", message: `cannot read ${name}: it has over 1 MiB` })

/** The text of a stream. Fails above `maxBytes`. */
const textOf = <E>(
  name: string,
  stream: Stream.Stream<Uint8Array, E>,
  failed: (error: E) => LocalError
): Effect.Effect<string, LocalError> =>
  stream.pipe(
    Stream.mapError(failed),
    Stream.runFoldEffect(
      () => Buffer.alloc(0),
      (read, chunk) => {
        const all = Buffer.concat([read, chunk])
        return all.length > maxBytes ? Effect.fail(tooLong(name)) : Effect.succeed(all)
      }
    ),
    Effect.map(String)
  )

const unreadable = (name: string) => (error: unknown) => {
  const kind = error instanceof Error && "code" in error ? String(error.code) : "Unknown"
  return new LocalError({ kind, message: `cannot read ${name}: ${kind}` })
}

/** Reads a descriptor, and leaves it open: the number may be that of a descriptor that Node itself uses. */
const descriptor = (fd: number): Stream.Stream<Uint8Array, LocalError> =>
  NodeStream.fromReadable({
    evaluate: () => createReadStream("", { fd, autoClose: false }),
    closeOnDone: false,
    onError: unreadable(`descriptor ${fd}`)
  })

/** Reads a named pipe or a device. `FileSystem` reads at positions, which these don't have. */
const unpositioned = (file: string): Stream.Stream<Uint8Array, LocalError> =>
  NodeStream.fromReadable({ evaluate: () => createReadStream(file), onError: unreadable(file) })

const opened = (file: string): Effect.Effect<string, LocalError, Needs> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const failed = localError(`cannot read ${file}`)
    const { type } = yield* Effect.mapError(fs.stat(file), failed)
    const hasPositions = type !== "FIFO" && type !== "CharacterDevice"
    return yield* hasPositions
      ? textOf(file, fs.stream(file), failed)
      : textOf(file, unpositioned(file), (error) => error)
  })

/** Reads stdin or an open descriptor, without checks: its opener chose it. `undefined` if the file is neither. */
const given = (file: string): Effect.Effect<string, LocalError, Needs> | undefined => {
  if (isStdin(file)) {
    return Stdio.Stdio.use(({ stdin }) => textOf("stdin", stdin, localError("cannot read stdin")))
  }
  const fd = descriptorOf(file)
  return fd === undefined ? undefined : textOf(file, descriptor(fd), (error) => error)
}

/** The text of a file that holds one value, without the white space around it. */
export const readValue = (file: string): Effect.Effect<string, LocalError, Needs> =>
  Effect.map(given(file) ?? opened(file), (text) => text.trim())

/** The text of a file that holds a secret. Fails with a `PrivateFileReason` if other users have any right to it. */
export const readSecret = (file: string): Effect.Effect<string, LocalError | PrivateFileReason, Needs> =>
  given(file) ?? readSecretFile(file)

/** Fails if stdin is a directory: Node reads it as an empty file, so the command would silently send nothing. */
export const stdinIsNoDirectory: Effect.Effect<void, LocalError, FileSystem.FileSystem> = FileSystem.FileSystem.use(
  (fs) =>
    Effect.flatMap(Effect.option(fs.stat("/dev/stdin")), (info) =>
      Option.exists(info, ({ type }) => type === "Directory")
        ? Effect.fail(new LocalError({ kind: "EISDIR", message: "cannot read stdin: it is a directory" }))
        : Effect.void
    )
)

const flags = {
  addressFile: "--address-file",
  keyFile: "--key-file",
  appKeyFile: "--app-key-file",
  tlsKey: "--tls-key",
  tlsCert: "--tls-cert",
  tlsCa: "--tls-ca",
  records: "--records"
} as const

/** The flags that name a file. */
export type Input = { readonly [Name in keyof typeof flags]?: Option.Option<string> }

/**
 * For a command with workers, each of which reads the files again. Fails if one is stdin or a descriptor, which this
 * process alone has. The secret file is read by this process, which hands the key over.
 */
export const keepToPaths = (input: Input): Effect.Effect<void, UsageError> => {
  const [flag] = Struct.keys(flags).flatMap((name) => {
    const file = input[name]
    const isNone =
      file !== undefined && Option.exists(file, (path) => isStdin(path) || descriptorOf(path) !== undefined)
    return isNone && name !== "keyFile" ? [flags[name]] : []
  })
  if (flag === undefined) return Effect.void
  const message = `${flag}: with --workers each process reads the file, so it can't be stdin or a descriptor; name it`
  return Effect.fail(new UsageError({ kind: "Conflict", message }))
}

/** For a command that sends stdin to its peer. Fails if a file is to be read from stdin, too. */
export const keepStdin = (command: string, input: Input): Effect.Effect<void, UsageError> => {
  const [flag] = Struct.keys(flags).flatMap((name) => {
    const file = input[name]
    return file !== undefined && Option.exists(file, isStdin) ? [flags[name]] : []
  })
  if (flag === undefined) return Effect.void
  const message =
    `${flag}: stdin is what ${command} sends to its peer; ` + `open the file as a descriptor: ${flag} /dev/fd/3 3<FILE`
  return Effect.fail(new UsageError({ kind: "Conflict", message }))
}
