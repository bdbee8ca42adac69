/**
 * Whether a socket in the file system is this user's own, or root's, because root can do all that this user can. If it
 * is, the answer is a path to the very socket that was looked at. Another user can't put a different one in its place.
 *
 * The path follows no symbolic link that another user made, because its owner chooses where it leads: for example to
 * another socket of this user, whose listener would then take this dial for one of its own.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { isOurs } from "../privateFile.ts"

/** The error of a system call. */
export type Failure = NodeJS.ErrnoException

/** Linux's flag to get a descriptor of a file without opening it. Node has no constant for it. */
const O_PATH = 0o10000000
/** Where Linux lists the descriptors of this process, each as a path to the very file that it holds. */
const descriptors = "/proc/self/fd"
/** The number of symbolic links that Linux follows in one path. */
const maxLinks = 40

const call = <A>(run: (done: (error: Failure | null, value?: A) => void) => void): Effect.Effect<A, Failure> =>
  Effect.callback((resume) =>
    run((error, value) => resume(error === null ? Effect.succeed(value as A) : Effect.fail(error)))
  )

const lstat = (file: string): Effect.Effect<fs.Stats, Failure> => call((done) => fs.lstat(file, done))
const readlink = (file: string): Effect.Effect<string, Failure> => call((done) => fs.readlink(file, done))

const isWritable = ({ mode }: fs.Stats): boolean => (mode & 0o022) !== 0

/** Whether others can't replace what is ours in the folder: they can't write to it, or it is sticky. */
const isClosed = (folder: fs.Stats): boolean =>
  isOurs(folder.uid) && (!isWritable(folder) || (folder.mode & 0o1000) !== 0)

/** Where a path leads. */
interface Place {
  /** The path without links. */
  readonly real: string
  /** Nobody else can replace anything on the way there. */
  readonly isClosed: boolean
}

/**
 * Resolves the symbolic links of a path. It follows a link only if it is ours and every folder above it is closed,
 * because then nobody else can have made it. The answer is `undefined` if there is any other link.
 */
const follow = (file: string): Effect.Effect<Place | undefined, Failure> =>
  Effect.gen(function* () {
    const from = path.isAbsolute(file) ? [] : process.cwd().split(path.sep)
    const names = [...from, ...file.split(path.sep)]
    const { root } = path.parse(process.cwd())
    let [real, links, closed] = [root, 0, isClosed(yield* lstat(root))]
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      if (name === "" || name === ".") continue
      const next = path.join(real, name)
      const stats = yield* lstat(next)
      if (!stats.isSymbolicLink()) {
        real = next
        closed &&= !stats.isDirectory() || isClosed(stats)
        continue
      }
      if (!closed || !isOurs(stats.uid)) return undefined
      if (++links > maxLinks) return yield* Effect.fail(Object.assign(new Error("too many links"), { code: "ELOOP" }))
      const target = yield* readlink(next)
      if (path.isAbsolute(target)) real = root
      names.unshift(...target.split(path.sep))
    }
    return { real, isClosed: closed }
  })

/** For systems without `/proc/self/fd`: the path without links, if no other user can change what it leads to. */
export const byFolders = (file: string): Effect.Effect<string | undefined, Failure> =>
  Effect.gen(function* () {
    const place = yield* follow(file)
    if (place?.isClosed !== true) return undefined
    // A sticky folder is not enough here: when our socket is gone, others can make one with its name.
    if (isWritable(yield* lstat(path.dirname(place.real)))) return undefined
    const { uid } = yield* lstat(place.real)
    return isOurs(uid) ? place.real : undefined
  })

/**
 * Whether only this user and root can connect to the socket at a path, and nobody else can put another one there.
 * `false` also where the path can't be looked up.
 */
export const isPrivate = (file: string): Effect.Effect<boolean> =>
  (path.isAbsolute(file) ? byFolders(file) : Effect.succeed(undefined)).pipe(
    Effect.flatMap((real) => (real === undefined ? Effect.succeed(false) : Effect.map(lstat(real), isClosedSocket))),
    Effect.orElseSucceed(() => false)
  )

const isClosedSocket = (stats: fs.Stats): boolean => stats.isSocket() && isOurs(stats.uid) && (stats.mode & 0o077) === 0

/** A path through a descriptor, which holds the socket as long as the scope is open. */
const byDescriptor = (file: string): Effect.Effect<string | undefined, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const place = yield* follow(file)
    if (place === undefined) return undefined
    const fd = yield* Effect.acquireRelease(
      call<number>((done) => fs.open(place.real, O_PATH | fs.constants.O_NOFOLLOW, done)),
      (fd) => Effect.sync(() => fs.close(fd))
    )
    const held = path.join(descriptors, String(fd))
    const stats = yield* call<fs.Stats>((done) => fs.fstat(fd, done))
    // Others may have replaced a folder with a link meanwhile. Then the descriptor holds something elsewhere.
    const isThere = path.dirname(yield* readlink(held)) === path.dirname(place.real)
    return isThere && isOurs(stats.uid) && !stats.isSymbolicLink() ? held : undefined
  })

/**
 * A path that leads to this socket and to no other, as long as the scope is open. `undefined` when the socket or a link
 * to it is another user's, or when another user could put a socket in its place.
 */
export const pathToOurs = (file: string): Effect.Effect<string | undefined, Failure, Scope.Scope> =>
  Effect.suspend(() =>
    process.platform === "linux" && fs.existsSync(descriptors) ? byDescriptor(file) : byFolders(file)
  )
