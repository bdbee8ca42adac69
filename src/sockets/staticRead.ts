/**
 * Reading without a buffer of its own for each read. Node gives every read a new 64 KiB buffer, and a process with a
 * large heap pays for them with collections of all of it: bulk costs twice as much with 100 MB of live heap
 * (docs/performance.md). Here all sockets read into one buffer: what arrives is used, or copied, before the next read
 * of any.
 *
 * Dialing sockets have a public option for it. Accepted ones are taken apart: their handle moves to a new socket that
 * has the option. Where Node's inside is not as it was (the handle has no `useUserBuffer`), the socket stays as it is
 * and reads the usual way.
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from "node:net"
import * as Context from "effect/Context"

/** Whether sockets read so. Read where the layer of a transport is built. */
export const StaticReads: Context.Reference<boolean> = Context.Reference("effect-multiserver/sockets/StaticReads", {
  defaultValue: () => true
})

/**
 * Two of the largest frames of noise, to the byte: what a read has of a further one has to be copied, with nearly all
 * of what follows. With 64 KiB every large frame straddles two reads, and with more a socket has longer turns. A read
 * that fills it is probably not all that has arrived.
 */
export const readBytes = 2 * 65_553

const buffer = new Uint8Array(readBytes)

/** Gets what one socket reads. */
export interface ReadTarget {
  /**
   * The bytes are valid, and may be written to, until it answers: whether to read on. A socket that is paused reads
   * nothing.
   */
  readonly onRead: (bytes: Uint8Array) => boolean
}

/** What one socket reads. */
export class StaticRead {
  target: ReadTarget | undefined

  /** For `net.connect`. The socket has to be paused until there is a target. */
  get onread(): OnReadOpts {
    return { buffer, callback: (length, into) => this.target?.onRead(into.subarray(0, length)) ?? false }
  }
}

/**
 * An accepted socket that has not read yet, as one that reads so. Node lets only dialing sockets say it, so the handle
 * moves to a socket that does. Where Node's inside is another, it is the one that it was, without `read`.
 */
export const rewrap = (accepted: Socket): { readonly socket: Socket; readonly read?: StaticRead } => {
  const handle: unknown = Reflect.get(accepted, "_handle")
  if (accepted.bytesRead > 0 || !canReadStatic(handle)) return { socket: accepted }
  const read = new StaticRead()
  const options: SocketConstructorOpts = { allowHalfOpen: true, onread: read.onread }
  const socket = new Socket(Object.assign(options, { handle, pauseOnCreate: true }))
  // The server counts it until it is gone.
  Reflect.set(socket, "_server", Reflect.get(accepted, "_server"))
  Reflect.set(accepted, "_server", null)
  Reflect.set(accepted, "_handle", null)
  return { socket, read }
}

const canReadStatic = (handle: unknown): boolean =>
  typeof handle === "object" && handle !== null && typeof Reflect.get(handle, "useUserBuffer") === "function"
