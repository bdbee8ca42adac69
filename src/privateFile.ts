/**
 * Reads a file that holds a secret, as `ssh` reads its keys: only if it belongs to this user or root, and nobody else
 * has any permission on it. Otherwise others may know the secret, or may have chosen it.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as PlatformError from "effect/PlatformError"
import * as Schema from "effect/Schema"
import { fileSystem } from "./fileSystem.ts"

/**
 * Group or others have permissions on the file, so they may know the key.
 *
 * @category errors
 * @since 0.1.0
 */
export class Exposed extends Schema.TaggedError<Exposed>()("Exposed", { mode: Schema.String }) {
  override get message(): string {
    return (
      `its mode is ${this.mode}, so group or others have access: run chmod 600 on it, or make a new key if they ` +
      "may have read it"
    )
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * The file belongs to another user, who can read it and replace it.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotOwned extends Schema.TaggedError<NotOwned>()("NotOwned", { uid: Schema.Number }) {
  override get message(): string {
    return `it belongs to another user (uid ${this.uid}), who can read and replace it: use a file of your own`
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * The path is a symbolic link, so whoever can change the link chooses the file.
 *
 * @category errors
 * @since 0.1.0
 */
export class Linked extends Schema.TaggedError<Linked>()("Linked", {}) {
  override get message(): string {
    return "it is a symbolic link, and whoever can change the link chooses the key: name the file itself"
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * The file can't be read or written.
 *
 * @category errors
 * @since 0.1.0
 */
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

/** Why a private file was not read. */
export type PrivateFileReason = Exposed | NotOwned | Linked | FileFailure

/** Many times the size of a key. */
const maxBytes = 64 * 1024

/** Whether a file belongs to this user, or to root, which can read and replace every file anyway. */
export const isOurs = (uid: number): boolean => {
  const user = globalThis.process?.geteuid?.()
  return user === undefined || uid === user || uid === 0
}

/**
 * Why the file can't be trusted. On Windows nothing is checked: it has neither modes nor owners, and Node reports mode
 * 0666 for every file.
 */
const distrust = ({ mode, uid }: FileSystem.File.Info): Exposed | NotOwned | undefined => {
  if (globalThis.process?.platform === "win32") return undefined
  if (Option.isSome(uid) && !isOurs(uid.value)) return new NotOwned({ uid: uid.value })
  return (mode & 0o077) === 0 ? undefined : new Exposed({ mode: (mode & 0o777).toString(8).padStart(4, "0") })
}

const isSame = (a: FileSystem.File.Info, b: FileSystem.File.Info): boolean =>
  a.dev === b.dev && Option.getOrUndefined(a.ino) === Option.getOrUndefined(b.ino)

/**
 * The text of the file at `path`. Fails when the file belongs to another user (except root), when group or others have
 * any permission on it, or when the path is a symbolic link. What is checked and what is read is one open file. A file
 * that `isTrusted` for another reason is only read.
 */
export const readPrivate = (
  path: string,
  isTrusted = false
): Effect.Effect<string, PrivateFileReason, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* fileSystem
    const odd = (detail: string) => new FileFailure({ kind: "BadResource", detail })
    // Checked before it is opened, because opening a named pipe waits for a writer.
    const { type } = yield* fs.stat(path)
    if (type !== "File") return yield* odd("it is no regular file")
    const file = yield* fs.open(path, { flag: "r" })
    const opened = yield* file.stat
    const reason = isTrusted ? undefined : distrust(opened)
    if (reason !== undefined) return yield* reason
    // Checked after it is opened. If the path then still leads to the same file, that was not opened through a link.
    if (!isTrusted && Option.isSome(yield* Effect.option(fs.readLink(path)))) return yield* new Linked()
    if (!isSame(opened, yield* fs.stat(path))) {
      return yield* new FileFailure({ kind: "Busy", detail: "it was replaced while it was opened" })
    }
    const bytes = new Uint8Array(maxBytes + 1)
    const size = yield* file.read(bytes)
    if (size > maxBytes) return yield* odd("it is too large for a key, which has at most 64 KiB")
    return new TextDecoder().decode(bytes.subarray(0, size))
  }).pipe(
    Effect.scoped,
    Effect.catchTag("PlatformError", (error) => Effect.fail(fileFailure(error)))
  )
