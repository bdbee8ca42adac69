/**
 * Whether a socket in the file system is this user's own, or root's, who is everybody: of one that was looked at, and
 * not of one that somebody puts in its place a moment later.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { isOurs } from "../privateFile.ts"

/** What the system says against it. */
export type Failure = NodeJS.ErrnoException

/** Opens no file, but holds it. Node has no name for it. */
const O_PATH = 0o10000000
/** Where Linux has what a process holds, under names that lead to just that. */
const descriptors = "/proc/self/fd"

const call = <A>(run: (done: (error: Failure | null, value?: A) => void) => void): Effect.Effect<A, Failure> =>
  Effect.callback((resume) =>
    run((error, value) => resume(error === null ? Effect.succeed(value as A) : Effect.fail(error)))
  )

/** Others can replace nothing in a folder that they can't write to. In a sticky one they can't replace what is ours. */
const isClosed = (folder: fs.Stats, isLast: boolean): boolean =>
  isOurs(folder.uid) && ((folder.mode & 0o022) === 0 || (!isLast && (folder.mode & 0o1000) !== 0))

const foldersOf = (file: string): ReadonlyArray<string> => {
  const folder = path.dirname(file)
  return folder === file ? [] : [folder, ...foldersOf(folder)]
}

/** The path without links, when nobody else can change what is found there. */
export const byFolders = (file: string): Effect.Effect<string | undefined, Failure> =>
  Effect.gen(function* () {
    const real = yield* call<string>((done) => fs.realpath(file, done))
    for (const [i, folder] of foldersOf(real).entries()) {
      if (!isClosed(yield* call<fs.Stats>((done) => fs.lstat(folder, done)), i === 0)) return undefined
    }
    const { uid } = yield* call<fs.Stats>((done) => fs.lstat(real, done))
    return isOurs(uid) ? real : undefined
  })

/** A path to what is held, as long as the scope. */
const byDescriptor = (file: string): Effect.Effect<string | undefined, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const fd = yield* Effect.acquireRelease(
      call<number>((done) => fs.open(file, O_PATH, done)),
      (fd) => Effect.sync(() => fs.close(fd))
    )
    const stats = yield* call<fs.Stats>((done) => fs.fstat(fd, done))
    return isOurs(stats.uid) ? path.join(descriptors, String(fd)) : undefined
  })

/**
 * A path that leads to this socket and to no other, as long as the scope is open. `undefined` when the socket is
 * another user's, or when another user could put a socket in its place.
 */
export const pathToOurs = (file: string): Effect.Effect<string | undefined, Failure, Scope.Scope> =>
  Effect.suspend(() =>
    process.platform === "linux" && fs.existsSync(descriptors) ? byDescriptor(file) : byFolders(file)
  )
