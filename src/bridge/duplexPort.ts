/**
 * The port of any of Node's `Duplex` streams of bytes. It copies what it reads and what it writes, because such a
 * stream may hand on the very memory that was written into it, and codecs open frames where they lie.
 */
import type { Duplex } from "node:stream"
import { locallyClosed, type PortFailure, ProtocolViolation, Reset } from "../ConnectionError.ts"
import type { Chunks, Port, PortListener } from "../Port.ts"

export class DuplexPort implements Port {
  readonly halfClose: boolean
  readonly copies = true
  failure: PortFailure | undefined
  private readonly duplex: Duplex
  private listener: PortListener | undefined
  private inputEnded = false
  /** Bytes whose write has not called back. */
  private unwritten = 0
  private ending = false

  /**
   * Listens for errors from now on, also for those after the port has closed: Node throws an error without a listener.
   */
  constructor(duplex: Duplex) {
    this.duplex = duplex
    this.halfClose = duplex.allowHalfOpen
    this.inputEnded = duplex.readableEnded
    duplex.on("error", this.onError)
    duplex.on("close", this.onClose)
    if (duplex.errored !== null) this.onError(duplex.errored)
    else if (duplex.destroyed) this.onClose()
  }

  // ---- reading ----

  listen(listener: PortListener): void {
    const isFirst = this.listener === undefined
    this.listener = listener
    if (!isFirst) return
    this.duplex.on("readable", () => this.listener?.readable())
    this.duplex.on("end", () => {
      this.inputEnded = true
      this.listener?.readable()
    })
  }

  take(): Chunks | undefined {
    if (this.failure !== undefined && this.duplex.destroyed) return undefined
    const chunk: unknown = this.duplex.read()
    if (chunk === null) return undefined
    if (chunk instanceof Uint8Array) return [new Uint8Array(chunk)]
    this.fail(new ProtocolViolation({ detail: "the stream gives something else than bytes" }))
    this.duplex.destroy()
    return undefined
  }

  get ended(): boolean {
    return this.inputEnded
  }

  // ---- writing ----

  offer(bytes: Uint8Array): boolean {
    if (this.failure !== undefined) return true
    if (!this.duplex.writable) {
      // The stream ended together with its readable half, and takes nothing more.
      this.fail(new Reset({ code: "EPIPE" }))
      return true
    }
    this.unwritten += bytes.length
    this.duplex.write(new Uint8Array(bytes), () => {
      this.unwritten -= bytes.length
      this.listener?.drained()
    })
    return true
  }

  get pending(): number {
    return this.failure === undefined ? this.unwritten + (this.ending ? 1 : 0) : 0
  }

  get full(): boolean {
    return this.failure === undefined && this.duplex.writableLength >= this.duplex.writableHighWaterMark
  }

  flush(): void {}

  end(): void {
    if (!this.duplex.writable || this.failure !== undefined) return
    this.ending = true
    this.duplex.end(() => {
      this.ending = false
      this.listener?.drained()
    })
  }

  // ---- failing and leaving ----

  private readonly onError = (error: NodeJS.ErrnoException): void => {
    this.fail(new Reset({ code: error.code ?? "UNKNOWN", cause: error }))
  }

  private readonly onClose = (): void => {
    // After both ends, a close is no failure.
    if (!this.inputEnded || !this.duplex.writableFinished) this.fail(new Reset({ code: "EPIPE" }))
  }

  private fail(failure: PortFailure): void {
    if (this.failure !== undefined) return
    this.failure = failure
    this.listener?.readable()
    this.listener?.drained()
  }

  close(): void {
    this.failure ??= locallyClosed
    this.duplex.destroy()
  }

  destroy(): void {
    this.failure ??= locallyClosed
    this.duplex.destroy()
  }
}
