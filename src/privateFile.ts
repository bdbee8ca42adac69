/**
 * Reading a file that holds a secret, as `ssh` reads its keys: only when it is this user's own and nobody else has any
 * right to it. Otherwise the secret has to be counted as known, or as chosen by somebody else.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as PlatformError from "effect/PlatformError"
import * as Schema from "effect/Schema"

/** The file is readable by others, so the key has to be counted as known to them. */
export class Exposed extends Schema.TaggedError<Exposed>()("Exposed", { mode: Schema.String }) {
  override get message(): string {
    return (
      `its mode is ${this.mode}, group or others can get at it: run chmod 600 on it, or make a new key if they ` +
      "have"
    )
  }
  get isRetryable(): boolean {
    return false
  }
}

/** The file belongs to another user, who can read it and replace it. */
export class NotOwned extends Schema.TaggedError<NotOwned>()("NotOwned", { uid: Schema.Number }) {
  override get message(): string {
    return `it belongs to another user (uid ${this.uid}), who can read and replace it: use a file of your own`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** The path is a symbolic link, so that whoever can change the link chooses the file. */
export class Linked extends Schema.TaggedError<Linked>()("Linked", {}) {
  override get message(): string {
    return "it is a symbolic link, and whoever can change the link chooses the key: name the file itself"
  }
  get isRetryable(): boolean {
    return false
  }
}

/** The file can't be read or written. */
export class FileFailure extends Schema.TaggedError<FileFailure>()("FileFailure", {
  /** `NotFound`, `AlreadyExists`, `PermissionDenied`, ...: the tags of Effect's `PlatformError`. */
  kind: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    switch (this.kind) {
      case "AlreadyExists":
        return "it exists already, and a key is never overwritten"
      case "NotFound":
        return "there is no such file or directory"
      default:
        return this.detail
    }
  }
  get isRetryable(): boolean {
    return this.kind === "Busy"
  }
}

export const fileFailure = ({ reason }: PlatformError.PlatformError): FileFailure =>
  new FileFailure({ kind: reason._tag, detail: reason.message })

/** Why such a file is not read. */
export type PrivateFileReason = Exposed | NotOwned | Linked | FileFailure

/** Many times what a key has. */
const maxBytes = 64 * 1024

/** Whether a file is this user's. Root is everybody, so one of root's is as good. */
export const isOurs = (uid: number): boolean => {
  const user = globalThis.process?.geteuid?.()
  return user === undefined || uid === user || uid === 0
}

/** Windows keeps neither modes nor owners: Node says 0666 of every file. */
const distrust = ({ mode, uid }: FileSystem.File.Info): Exposed | NotOwned | undefined => {
  if (globalThis.process?.platform === "win32") return undefined
  if (Option.isSome(uid) && !isOurs(uid.value)) return new NotOwned({ uid: uid.value })
  return (mode & 0o077) === 0 ? undefined : new Exposed({ mode: (mode & 0o777).toString(8).padStart(4, "0") })
}

const isSame = (a: FileSystem.File.Info, b: FileSystem.File.Info): boolean =>
  a.dev === b.dev && Option.getOrUndefined(a.ino) === Option.getOrUndefined(b.ino)

/**
 * The text of the file at `path`. Refused when it belongs to another user, when group or others have any right to it,
 * and when the path is a symbolic link; what is checked and what is read is one open file.
 */
export const readPrivate = (path: string): Effect.Effect<string, PrivateFileReason, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const odd = (detail: string) => new FileFailure({ kind: "BadResource", detail })
    // Before it is opened, because to open a pipe is to wait for who writes to it.
    const { type } = yield* fs.stat(path)
    if (type !== "File") return yield* odd("it is no regular file")
    const file = yield* fs.open(path, { flag: "r" })
    const opened = yield* file.stat
    const reason = distrust(opened)
    if (reason !== undefined) return yield* reason
    // It is asked for links when it is open: then the same file at the end of the path was not reached through one.
    if (Option.isSome(yield* Effect.option(fs.readLink(path)))) return yield* new Linked()
    if (!isSame(opened, yield* fs.stat(path))) {
      return yield* new FileFailure({ kind: "Busy", detail: "it was replaced while it was opened" })
    }
    const bytes = new Uint8Array(maxBytes + 1)
    const size = yield* file.read(bytes)
    if (size > maxBytes) return yield* odd("it is no key: a key has at most 64 KiB")
    return new TextDecoder().decode(bytes.subarray(0, size))
  }).pipe(
    Effect.scoped,
    Effect.catchTag("PlatformError", (error) => Effect.fail(fileFailure(error)))
  )
