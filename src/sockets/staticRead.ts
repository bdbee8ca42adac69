/**
 * Reads without a new buffer for each read. Node gives every read a new 64 KiB buffer, and a process with a large heap
 * pays for them with full collections: receiving in bulk costs twice as much with 100 MB of live heap
 * (docs/performance.md). Here all sockets read into one buffer. What arrives is used, or copied, before the next read
 * of any socket.
 *
 * Dialing sockets have a public option for this. An accepted socket has none, so its handle moves to a new socket that
 * has the option. Where Node's internals have changed (the handle has no `useUserBuffer`), the accepted socket stays as
 * it is and reads the usual way.
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from "node:net"
import * as Context from "effect/Context"

/**
 * Whether all sockets read into one buffer. By default they do. Read when the layer of a transport is built.
 *
 * @category options
 * @since 0.1.0
 */
export const StaticReads: Context.Reference<boolean> = Context.Reference("effect-multiserver/sockets/StaticReads", {
  defaultValue: () => true
})

/**
 * Exactly two of noise's largest frames. Part of a third frame would have to be copied, and nearly all that follows it
 * too. With 64 KiB every large frame would straddle two reads. With more, each socket's turn would be longer. If a read
 * fills the buffer, more has probably arrived.
 */
export const readBytes = 2 * 65_553

const buffer = new Uint8Array(readBytes)

/** Receives what one socket reads. */
export interface ReadTarget {
  /**
   * Answers whether to read on. The bytes are valid, and may be written to, until it returns. It is not called while
   * the socket is paused.
   */
  readonly onRead: (bytes: Uint8Array) => boolean
}

/** Hands what one socket reads to its target. */
export class StaticRead {
  target: ReadTarget | undefined

  /** The option for a new socket. The socket must be paused until there is a target. */
  get onread(): OnReadOpts {
    return { buffer, callback: (length, into) => this.target?.onRead(into.subarray(0, length)) ?? false }
  }
}

/**
 * Moves the handle of an accepted socket to a new socket that reads into the shared buffer. A socket that has read
 * already is returned as it is, without `read`, and so is every socket where Node's internals have changed.
 */
export const rewrap = (accepted: Socket): { readonly socket: Socket; readonly read?: StaticRead } => {
  const handle: unknown = Reflect.get(accepted, "_handle")
  if (accepted.bytesRead > 0 || !canReadStatic(handle)) return { socket: accepted }
  const read = new StaticRead()
  const options: SocketConstructorOpts = { allowHalfOpen: true, onread: read.onread }
  const socket = new Socket(Object.assign(options, { handle, pauseOnCreate: true }))
  // Now the server counts the new socket as its connection, until that closes.
  Reflect.set(socket, "_server", Reflect.get(accepted, "_server"))
  Reflect.set(accepted, "_server", null)
  Reflect.set(accepted, "_handle", null)
  return { socket, read }
}

const canReadStatic = (handle: unknown): boolean =>
  typeof handle === "object" && handle !== null && typeof Reflect.get(handle, "useUserBuffer") === "function"
