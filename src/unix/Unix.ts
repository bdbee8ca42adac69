/**
 * `unix:PATH`: sockets in the file system, which only this user can reach.
 *
 * A listener's socket is bound under a name of its own and then linked to its path: it appears there at once, listening
 * and with mode 0600, and never in the place of another's. Windows pipes are not supported yet.
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
import { fdRoom } from "../sockets/fdRoom.ts"
import { accepted, bound, dialed, opened, type Reading, reading } from "../sockets/streamSocket.ts"
import * as Transport from "../Transport.ts"
import { isListed, prefixOf } from "./alive.ts"
import { pathToOurs } from "./ours.ts"

/** The longest path that a socket address holds on Linux, in bytes; other systems have a few less. */
const maxPathBytes = process.platform === "linux" ? 107 : 103

const tooLong = (path: string): string | undefined =>
  Buffer.byteLength(path) > maxPathBytes ? `a socket's path has at most ${maxPathBytes} bytes` : undefined

// -----------------------------------------------------------------------------
// dialing
// -----------------------------------------------------------------------------

const noSocket = "there is a file at that path that is no socket"

/** Whether something else is at a path. What can't be looked at may be a socket. */
const isNoSocket = (path: string): boolean =>
  Result.getOrElse(
    Result.try(() => fs.statSync(path, { throwIfNoEntry: false })?.isSocket() === false),
    () => false
  )

/**
 * `EAGAIN`: whoever listens has as many waiting as it takes. A file that is no socket refuses as a dead socket does.
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

/** The path by which a socket is dialed. Where nothing proves who is behind it, it has to be this user's own. */
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
    // What holds the socket is let go of when it is connected.
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

/** Removes the file, if it still is the one that was seen. */
const removeIfSame = (path: string, seen: fs.Stats): void => {
  const now = socketAt(path)
  if (now?.ino === seen.ino && now.dev === seen.dev) fs.unlinkSync(path)
}

/** Whether the socket is a dead one of ours: nobody listens behind it. */
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

/** Puts the socket at its path, where a dead one of ours may lie, and nothing else. */
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
 * A name of its own beside the socket's path, by which the kernel lists the listener. It has a letter: Node takes
 * `.23e4` for a port. Where that is as long as paths can be, this one is no longer.
 */
const privatePath = (target: string): string => {
  const room = maxPathBytes - Buffer.byteLength(path.join(path.dirname(target), "x")) + 1
  return path.join(
    path.dirname(target),
    `${prefixOf(target)}${randomBytes(4).toString("hex")}`.slice(0, Math.max(room, 4))
  )
}

/** A socket made in here has mode 0600. The mask is the process's, so nothing may happen between. */
const privately = (run: () => void): void => {
  const mask = process.umask(0o177)
  try {
    run()
  } finally {
    process.umask(mask)
  }
}

/** A worker has no mask of its own to set, and without one the socket would be open to others for a moment. */
const inWorker = isMainThread ? undefined : "a worker thread can't make a private socket; listen in the main thread"

/** The same socket for those in other directories; as it was where that would be longer than paths can be. */
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
    // For a missing directory the binding would say EACCES.
    const own = yield* attempt(() => privatePath(section.path))
    const detail = tooLong(own)
    if (detail !== undefined) return yield* new NotListenable({ detail })
    const open = () =>
      net.createServer({ allowHalfOpen: true, pauseOnConnect: true }).on("connection", (socket) => {
        if (!onAccepted(accepted(socket, section, reading, told), undefined)) socket.destroy()
      })
    yield* bound(open, { path: own }, bindReason, privately)
    const { mode } = yield* attempt(() => fs.lstatSync(own))
    if ((mode & 0o777) !== 0o600) {
      return yield* new NotListenable({ detail: "the file system keeps no modes there: others could connect" })
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

/** Unix sockets. */
export const layer = (): Layer.Layer<Transport.Transport<"unix">> =>
  Layer.effect(
    Transport.Transport("unix"),
    Effect.map(reading, (reading) =>
      Transport.make({
        section: Schema.toType(Address.Unix),
        cost: 1,
        reach: () => "device",
        trusted: true,
        room: fdRoom,
        notDialable: (section) => tooLong(section.path),
        dial: (section, options) => dial(section, options, reading),
        listen: (section, onAccepted, told) => listen(section, onAccepted, told, reading)
      })
    )
  )
