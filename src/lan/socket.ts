/** UDP sockets of `node:dgram`, in a scope. */
import * as dgram from "node:dgram"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { LanError } from "./errors.ts"

const codeOf = (error: NodeJS.ErrnoException): string => error.code ?? error.message

/** Opens a socket, sets it up, and closes it with the scope. Once it is open, its faults go to `onFault`. */
const open = (
  port: number,
  onFault: (error: LanError) => void,
  prepare: (socket: dgram.Socket) => void
): Effect.Effect<dgram.Socket, LanError, Scope.Scope> => {
  const failed = (cause: NodeJS.ErrnoException) => new LanError({ port, code: codeOf(cause), cause })
  const opened = Effect.callback<dgram.Socket, LanError>((resume) => {
    // Several programs of a machine listen on the same port, and each of them hears a broadcast.
    const socket = dgram.createSocket({ type: "udp4", reuseAddr: port !== 0 })
    const refuse = (error: Error) => {
      socket.close()
      resume(Effect.fail(failed(error)))
    }
    socket.once("error", refuse)
    socket.bind({ port, exclusive: true }, () => {
      socket.off("error", refuse)
      socket.on("error", (error) => onFault(failed(error)))
      prepare(socket)
      resume(Effect.succeed(socket))
    })
  })
  return Effect.acquireRelease(opened, (socket) =>
    Effect.callback<void>((resume) => void socket.close(() => resume(Effect.void)))
  )
}

/** Hears what comes to a port, with the IP of its sender. `hear` must not throw. */
export const listening = (
  port: number,
  hear: (bytes: Uint8Array, sender: string) => void,
  onFault: (error: LanError) => void
): Effect.Effect<void, LanError, Scope.Scope> =>
  Effect.asVoid(open(port, onFault, (socket) => socket.on("message", (bytes, { address }) => hear(bytes, address))))

/** Sends a datagram. */
export type Send = (bytes: Uint8Array, port: number, host: string) => Effect.Effect<void, LanError>

/** A socket that sends, also to everybody. */
export const sending: Effect.Effect<Send, LanError, Scope.Scope> = Effect.map(
  // What a send meets is its own failure: nothing else happens to a socket that only sends.
  open(
    0,
    () => {},
    (socket) => socket.setBroadcast(true)
  ),
  (socket): Send =>
    (bytes, port, host) =>
      Effect.callback((resume) => {
        socket.send(bytes, port, host, (error) =>
          resume(error === null ? Effect.void : Effect.fail(new LanError({ port, code: codeOf(error), cause: error })))
        )
      })
)
