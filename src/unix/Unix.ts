/**
 * `unix:PATH`: sockets in the file system, which only this user can reach.
 *
 * A listener binds its socket under a private name, and then links it to its path. So the socket appears there only
 * when it listens and has mode 0600, and it replaces nothing but a dead socket of this user. An inherited socket has
 * the mode that it was given. Windows pipes are not supported yet.
 */
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { isMainThread } from "node:worker_threads"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import { NotDialable, Refused, type TransportReason, Unreachable } from "../DialError.ts"
import type { Link } from "../Link.ts"
import { AddressInUse, type BindReason, NotListenable, PermissionDenied } from "../ListenError.ts"
import { backlog } from "../sockets/backlog.ts"
import { fdRoom } from "../sockets/fdRoom.ts"
import { InheritedSockets, type UnixSocket } from "../sockets/inherited.ts"
import { accepted, bound, dialed, opened, type Reading, reading } from "../sockets/streamSocket.ts"
import * as Transport from "../Transport.ts"
import { isListed, prefixOf } from "./alive.ts"
import { isPrivate, pathToOurs } from "./ours.ts"

/** The longest path that fits into a socket address, in bytes. Systems other than Linux have a few bytes less. */
const maxPathBytes = process.platform === "linux" ? 107 : 103

const tooLong = (path: string): string | undefined =>
  Buffer.byteLength(path) > maxPathBytes ? `a socket's path has at most ${maxPathBytes} bytes` : undefined

// -----------------------------------------------------------------------------
// dialing
// -----------------------------------------------------------------------------

const noSocket = "there is a file at that path that is no socket"

/** Whether something that is not a socket is at the path. `false` also where the path can't be looked up. */
const isNoSocket = (path: string): boolean =>
  Result.getOrElse(
    Result.try(() => fs.statSync(path, { throwIfNoEntry: false })?.isSocket() === false),
    () => false
  )

/**
 * `EAGAIN`: the listener's backlog is full. `ECONNREFUSED` is the answer of a dead socket, and of a file that is not a
 * socket, so that is looked up first.
 */
const dialReason =
  (path: string) =>
  (cause: NodeJS.ErrnoException): TransportReason => {
    const { code = "UNKNOWN" } = cause
    if (isNoSocket(path)) return new NotDialable({ detail: noSocket })
    return code === "ENOENT" || code === "ECONNREFUSED" || code === "EAGAIN"
      ? new Refused({ cause })
      : new Unreachable({ code, cause })
  }

/** The path to dial. Where the stack does not authenticate the peer, the socket has to be this user's own or root's. */
const pathTo = (path: string, authenticates: boolean): Effect.Effect<string, TransportReason, Scope.Scope> =>
  authenticates
    ? Effect.succeed(path)
    : pathToOurs(path).pipe(
        Effect.mapError(dialReason(path)),
        Effect.filterOrFail(
          (ours) => ours !== undefined,
          () =>
            new NotDialable({
              detail:
                "the socket or a link to it is another user's, or others can put one there; take shs to know the peer"
            })
        )
      )

const dial = (
  section: Address.Unix,
  told: Transport.DialOptions,
  reading: Reading
): Effect.Effect<Link, TransportReason, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (outer) =>
    // This inner scope holds the descriptor that the path may lead through, and closes once the socket is connected.
    Effect.scoped(
      Effect.flatMap(pathTo(section.path, told.authenticates), (path) =>
        Scope.provide(
          dialed(
            (opening) =>
              opened(
                () => opening((options) => net.connect({ path, allowHalfOpen: true, ...options })),
                dialReason(section.path)
              ),
            () => section,
            reading,
            told
          ),
          outer
        )
      )
    )
  )

// -----------------------------------------------------------------------------
// listening
// -----------------------------------------------------------------------------

const bindReason = (cause: NodeJS.ErrnoException): BindReason => {
  const { code = "UNKNOWN" } = cause
  switch (code) {
    case "EEXIST":
    case "EADDRINUSE":
      return new AddressInUse({ cause })
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new PermissionDenied({ code, cause })
    case "ENOENT":
    case "ENOTDIR":
      return new NotListenable({ detail: "the directory of the socket does not exist", cause })
    default:
      return new NotListenable({ detail: code, cause })
  }
}

const attempt = <A>(run: () => A): Effect.Effect<A, BindReason> =>
  Effect.try({ try: run, catch: (error) => bindReason(error instanceof Error ? error : new Error(String(error))) })

/** The socket file at a path; `undefined` when there is none, or something else. */
const socketAt = (path: string): fs.Stats | undefined => {
  const stats = fs.lstatSync(path, { throwIfNoEntry: false })
  return stats?.isSocket() === true ? stats : undefined
}

/** Removes the socket file, if it is still the one that was seen. */
const removeIfSame = (path: string, seen: fs.Stats): void => {
  const now = socketAt(path)
  if (now?.ino === seen.ino && now.dev === seen.dev) fs.unlinkSync(path)
}

/** Whether the socket is this user's and dead: nothing listens on it. Connects only if the kernel lists no listener. */
const isStale = (path: string, stats: fs.Stats, own: string): Effect.Effect<boolean> =>
  stats.uid !== process.geteuid?.() ||
  Result.getOrElse(
    Result.try(() => isListed(path, own)),
    () => false
  )
    ? Effect.succeed(false)
    : Effect.callback<boolean>((resume) => {
        const socket = net.connect({ path })
        const answer = (stale: boolean) => {
          socket.destroy()
          resume(Effect.succeed(stale))
        }
        socket.once("connect", () => answer(false))
        socket.once("error", ({ code }: NodeJS.ErrnoException) => answer(code === "ECONNREFUSED"))
        return Effect.sync(() => socket.destroy())
      })

/** Links the socket to its path. It replaces a dead socket of this user there, and nothing else. */
const publish = (own: string, path: string): Effect.Effect<void, BindReason> =>
  attempt(() => fs.linkSync(own, path)).pipe(
    Effect.catchTag("AddressInUse", (inUse) =>
      Effect.gen(function* () {
        const there = yield* attempt(() => socketAt(path))
        if (there === undefined && isNoSocket(path)) return yield* new NotListenable({ detail: noSocket })
        if (there === undefined || !(yield* isStale(path, there, own))) return yield* inUse
        yield* attempt(() => {
          removeIfSame(path, there)
          fs.linkSync(own, path)
        })
      })
    )
  )

/**
 * A private name for the socket, in the folder of its path. The kernel lists the listener by this name (`alive.ts`).
 * It begins with `.s`, because Node would take a number such as `.23e4` for a port. It is cut short where it would make
 * the path too long.
 */
const privatePath = (target: string): string => {
  const room = maxPathBytes - Buffer.byteLength(path.join(path.dirname(target), "x")) + 1
  return path.join(
    path.dirname(target),
    `${prefixOf(target)}${randomBytes(4).toString("hex")}`.slice(0, Math.max(room, 4))
  )
}

/** Sockets that `run` binds have mode 0600. The umask is that of the whole process, so `run` must be synchronous. */
const privately = (run: () => void): void => {
  const mask = process.umask(0o177)
  try {
    run()
  } finally {
    process.umask(mask)
  }
}

/** A worker thread can't set the umask, and without that the socket would be open to other users for a moment. */
const inWorker = isMainThread ? undefined : "a worker thread can't make a private socket; listen in the main thread"

/** The section with an absolute path, for dialers in other directories. Unchanged where that path would be too long. */
const fromAnywhere = (section: Address.Unix): Address.Unix => {
  const absolute = path.resolve(section.path)
  if (tooLong(absolute) !== undefined) return section
  return Result.getOrElse(
    Result.try(() => new Address.Unix({ path: absolute })),
    () => section
  )
}

const listen = (
  section: Address.Unix,
  onAccepted: Transport.OnAccepted,
  told: Transport.ListenOptions,
  reading: Reading
): Effect.Effect<Transport.Bound, BindReason, Scope.Scope> =>
  Effect.gen(function* () {
    const wrong = tooLong(section.path) ?? inWorker
    if (wrong !== undefined) return yield* new NotListenable({ detail: wrong })
    // `privatePath` fails with ENOENT where the directory is missing. The bind would fail with EACCES.
    const own = yield* attempt(() => privatePath(section.path))
    const detail = tooLong(own)
    if (detail !== undefined) return yield* new NotListenable({ detail })
    const open = () =>
      net.createServer({ allowHalfOpen: true, pauseOnConnect: true }).on("connection", (socket) => {
        if (!onAccepted(accepted(socket, section, reading, told), undefined)) socket.destroy()
      })
    const bind = (server: net.Server, done: () => void) => {
      privately(() => server.listen({ path: own, backlog }, done))
      return Result.void
    }
    yield* bound(open, bind, bindReason)
    const { mode } = yield* attempt(() => fs.lstatSync(own))
    if ((mode & 0o777) !== 0o600) {
      return yield* new NotListenable({
        detail: "the file system there keeps no file modes, so other users could connect: take another directory"
      })
    }
    yield* Effect.acquireRelease(
      Effect.ensuring(
        Effect.andThen(
          publish(own, section.path),
          attempt(() => fs.lstatSync(section.path))
        ),
        Effect.sync(() => fs.rmSync(own, { force: true }))
      ),
      (published) => Effect.ignore(attempt(() => removeIfSame(section.path, published)))
    )
    return { section: fromAnywhere(section) }
  })

const notPrivate =
  "the inherited socket lets in other users: give it mode 0600 and this user as its owner (SocketMode=, " +
  "SocketUser=), in a folder where nobody else can replace it; or take shs to know the peer"

/** Listens with an inherited socket. Its file is not ours to remove. */
const listenInherited = (
  socket: UnixSocket,
  section: Address.Unix,
  onAccepted: Transport.OnAccepted,
  told: Transport.ListenOptions,
  reading: Reading
): Effect.Effect<Transport.Bound, BindReason, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.suspend(() =>
      Effect.fromResult(
        socket.accept((each) => {
          if (!onAccepted(accepted(each, section, reading, told), undefined)) each.destroy()
        })
      )
    ),
    () => Effect.sync(() => socket.close())
  ).pipe(Effect.as({ section: fromAnywhere(section) }))

/**
 * The `unix` transport. It listens on sockets that only this user can reach (mode 0600). Where the stack does not
 * authenticate the peer, it dials only sockets of this user or of root.
 *
 * An inherited socket is as private as its owner and its mode say. Where others than this user and root can connect to
 * it, or can replace it, its peers are not trusted, and a stack that does not authenticate them can't listen with it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (): Layer.Layer<Transport.Transport<"unix">> =>
  Layer.effect(
    Transport.Transport("unix"),
    Effect.gen(function* () {
      const read = yield* reading
      const inherited = yield* InheritedSockets
      const closed = new Set(yield* Effect.filter(inherited.unix, ({ path }) => isPrivate(path)))
      return Transport.make({
        section: Schema.toType(Address.Unix),
        cost: 1,
        reach: () => "device",
        trusted: ({ path }) => {
          const socket = inherited.unixAt(path)
          return socket === undefined || closed.has(socket)
        },
        room: fdRoom,
        notDialable: (section) => tooLong(section.path),
        dial: (section, options) => dial(section, options, read),
        listen: (section, onAccepted, told) => {
          const socket = inherited.unixAt(section.path)
          if (socket === undefined) return listen(section, onAccepted, told, read)
          if (!told.authenticates && !closed.has(socket)) return Effect.fail(new NotListenable({ detail: notPrivate }))
          return listenInherited(socket, section, onAccepted, told, read)
        }
      })
    })
  )
