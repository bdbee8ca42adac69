/**
 * Opens inherited descriptors.
 *
 * Node has no call that tells what a descriptor is or to what it is bound, and it closes each descriptor that it has
 * opened. So there is a way around for each question; where Node changes one of them, the answer is an error.
 *
 * - Of which kind a socket is: `dgram` takes UDP only, and its error names what it was given. It opens nothing then.
 * - To what a TCP socket is bound: opened as a connection that neither reads nor writes, it tells its address and
 *   accepts nothing. A server can take it over.
 * - To what a unix socket is bound: only Node's diagnostic report tells. No server can take over an open one, so it is
 *   opened with its server.
 */
import * as dgram from "node:dgram"
import * as fs from "node:fs"
import * as net from "node:net"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { backlog } from "./backlog.ts"
import { type Socket, TcpSocket, UnixSocket } from "./inherited.ts"
import { codeOf } from "./reasons.ts"
import { diagnosticReport } from "./report.ts"
import { ignore } from "./socketPort.ts"

/** What a descriptor is of; `undefined` if it is not open. */
const statsOf = (descriptor: number): fs.Stats | undefined =>
  Result.getOrUndefined(Result.try(() => fs.fstatSync(descriptor)))

/** Whether a descriptor is that of a socket. */
export const isSocket = (descriptor: number): boolean => statsOf(descriptor)?.isSocket() === true

/** `TCP`, `PIPE` for a unix socket, or another kind that is of no use here. */
const kindOf = (descriptor: number): string => {
  const probe = dgram.createSocket("udp4").on("error", ignore)
  const bound = Result.try(() => probe.bind({ fd: descriptor }))
  probe.close()
  return (Result.isFailure(bound) && /fd type: (\w+)/.exec(String(bound.failure))?.[1]) || "UDP"
}

const notBound = "it is not bound to an address"
const isConnection =
  "it is a connection and not a socket that listens; this has to accept the connections itself (Accept=no)"

const openTcp = (descriptor: number): Effect.Effect<Socket, string> =>
  Effect.suspend(() => {
    const socket = new net.Socket({ fd: descriptor, readable: false, writable: false }).on("error", ignore)
    const own = socket.address()
    const detail = socket.remoteAddress !== undefined ? isConnection : notBound
    if (socket.remoteAddress === undefined && "port" in own && own.port !== 0) {
      return Effect.succeed(new TcpSocket(descriptor, socket, own))
    }
    socket.destroy()
    return Effect.fail(detail)
  })

const Report = Schema.Struct({
  libuv: Schema.Array(
    Schema.Struct({ fd: Schema.optional(Schema.Unknown), localEndpoint: Schema.optional(Schema.Unknown) })
  )
})
const decodeReport = Schema.decodeUnknownOption(Report)

/** The path to which an open unix socket is bound. */
const pathOf = (descriptor: number): string | undefined => {
  const handles = Option.getOrUndefined(decodeReport(diagnosticReport()))?.libuv ?? []
  const path = handles.find(({ fd }) => fd === descriptor)?.localEndpoint
  return typeof path === "string" && path !== "" ? path : undefined
}

const openUnix = (descriptor: number): Effect.Effect<Socket, string> =>
  Effect.callback((resume) => {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true })
    server.on("error", (error) => resume(Effect.fail(`it can't listen (${codeOf(error)}): ${isConnection}`)))
    // This is called before anything can be accepted.
    server.listen({ fd: descriptor, backlog }, () => {
      const path = pathOf(descriptor)
      if (path !== undefined) return resume(Effect.succeed(new UnixSocket(descriptor, server, path)))
      server.close()
      resume(Effect.fail("it is a unix socket, and this runtime doesn't tell its path"))
    })
  })

const opened = (descriptor: number): Effect.Effect<Socket, string> =>
  Effect.suspend((): Effect.Effect<Socket, string> => {
    // The first three are stdio, which Node has opened.
    if (descriptor < 3) return Effect.fail("descriptors 0 to 2 are those of stdin, stdout and stderr")
    // Nothing else must be opened: it may be a file that Node itself uses.
    if (!isSocket(descriptor)) return Effect.fail("it is no socket")
    const kind = kindOf(descriptor)
    if (kind === "TCP") return openTcp(descriptor)
    return kind === "PIPE" ? openUnix(descriptor) : Effect.fail(`it takes no connections (its kind is ${kind})`)
  })

/** Opens a descriptor until the scope closes, or fails with what is wrong with it. */
export const open = (descriptor: number): Effect.Effect<Socket, string, Scope.Scope> =>
  Effect.acquireRelease(opened(descriptor), (socket) => Effect.sync(() => socket.close()))
