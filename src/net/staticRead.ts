/**
 * Reading without a buffer of its own for each read. Node gives every read a new 64 KiB buffer, and a process with a large heap pays
 * for them with collections of all of it. Here all sockets read into one buffer: what arrives is used, or copied, before the next
 * read of any.
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from "node:net"

/**
 * Two of the largest frames of noise, to the byte: what a read has of a further one has to be copied, with nearly all of what follows.
 * With 64 KiB every large frame straddles two reads, and with more a socket has longer turns. A read that fills it is probably not all
 * that has arrived.
 */
export const readBytes = 2 * 65_553

const buffer = new Uint8Array(readBytes)

/** Who gets what one socket reads. */
export interface Ear {
  /** Gets bytes that are valid, and may be written to, until it answers: whether to read on. A socket that is paused reads nothing. */
  readonly hear: (bytes: Uint8Array) => boolean
}

/** What one socket reads. */
export class StaticRead {
  ear: Ear | undefined

  /** For `net.connect`. The socket has to be paused until somebody hears. */
  get onread(): OnReadOpts {
    return { buffer, callback: (length, into) => this.ear?.hear(into.subarray(0, length)) ?? false }
  }
}

/**
 * An accepted socket that has not read yet, as one that reads so. Node lets only dialing sockets say it, so the handle moves to a
 * socket that does. Where Node's inside is another, it is the one that it was, without `read`.
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
