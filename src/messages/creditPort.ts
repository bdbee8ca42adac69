/**
 * The port of a byte stream over messages, whose reader grants credit. docs/port.md has its protocol.
 *
 * ```
 * sending:    open ── end() ──> ending ── the end is posted ──> said ── the peer has it ──> ended
 * receiving:  open ── the peer's end ──> ended
 * the port:   open ── the peer has closed in order ──> alone
 *               └── the peer breaks off, breaks the protocol or is gone; close, destroy ──> failed
 * ```
 */
import { isArrayNonEmpty } from "effect/Array"
import * as Result from "effect/Result"
import { locallyClosed, type PortFailure, ProtocolViolation, Reset } from "../ConnectionError.ts"
import type { Chunks, Port, PortListener } from "../Port.ts"
import type { Carrier, Hearer, Posted } from "./carrier.ts"
import { Credit, Granted } from "./credit.ts"
import * as Message from "./message.ts"
import { SendQueue } from "./sendQueue.ts"

/** The port is full when this many bytes wait for credit. */
const highWater = 64 * 1024
/** So much is posted at once. Less waits for the end of the tick, so that it goes together. */
const eagerBytes = 16 * 1024

export class CreditPort implements Port, Hearer {
  readonly halfClose = true
  readonly copies = true
  failure: PortFailure | undefined
  private readonly carrier: Carrier
  private listener: PortListener | undefined

  private sending: "open" | "ending" | "said" | "ended" = "open"
  private readonly credit = new Credit()
  private readonly queue: SendQueue
  private scheduled = false

  private receiving: "open" | "ended" = "open"
  private readonly granted = new Granted()
  private incoming: Array<Uint8Array> = []

  /** The peer has closed, after it ended its direction. */
  private isAlone = false

  /** It hears from now on. */
  constructor(carrier: Carrier) {
    this.carrier = carrier
    this.queue = new SendQueue(carrier.maxBytes)
    carrier.setHearer(this)
  }

  // ---- reading ----

  listen(listener: PortListener): void {
    const isFirst = this.listener === undefined
    this.listener = listener
    if (isFirst) this.renewCredit()
  }

  take(): Chunks | undefined {
    const { incoming } = this
    if (!isArrayNonEmpty(incoming)) return undefined
    this.incoming = []
    this.renewCredit()
    return incoming
  }

  /** To be called when nothing waits to be taken, so that what waits and what is granted are never over the window. */
  private renewCredit(): void {
    if (this.receiving === "ended" || this.failure !== undefined) return
    const more = this.granted.renew()
    if (more > 0) this.post(Message.grant(more))
  }

  get ended(): boolean {
    return this.receiving === "ended" && this.incoming.length === 0
  }

  // ---- hearing ----

  onMessage(value: unknown): void {
    if (this.failure !== undefined) return
    const read = Message.read(value, this.carrier.maxBytes)
    const wrong = Result.isFailure(read) ? read.failure : this.hear(read.success)
    if (wrong !== undefined) this.violated(wrong)
  }

  /** What is wrong with the message, if anything is. */
  private hear(message: Message.Message): string | undefined {
    switch (message._tag) {
      case "Data":
        return this.hearData(message.bytes)
      case "Grant":
        return this.hearGrant(message.credit)
      case "End":
        return this.hearEnd()
      case "EndHeard":
        return this.hearEndHeard()
      case "Close":
        return this.hearClose()
      case "Break":
        this.gone("ECONNRESET")
        return undefined
    }
  }

  private hearData(bytes: Uint8Array): string | undefined {
    if (this.receiving === "ended") return "data after its end"
    if (!this.granted.spend(bytes.length)) return "more data than it had credit for"
    this.incoming.push(bytes)
    this.listener?.readable()
    return undefined
  }

  private hearGrant(credit: number): string | undefined {
    if (this.isAlone) return "a grant after its close"
    if (!this.credit.receive(credit)) return "more credit than this side takes"
    this.send()
    this.tellDrained()
    return undefined
  }

  private hearEnd(): string | undefined {
    if (this.receiving === "ended") return "a second end"
    this.receiving = "ended"
    this.post(Message.endHeard)
    this.listener?.readable()
    return undefined
  }

  private hearEndHeard(): string | undefined {
    if (this.sending !== "said") return "it has heard an end that this side has not said"
    this.sending = "ended"
    this.tellDrained()
    return undefined
  }

  private hearClose(): string | undefined {
    if (this.receiving === "open") return "a close before its end"
    if (this.isAlone) return "a second close"
    this.isAlone = true
    // What waits for credit will never be sent.
    if (this.queue.bytes > 0) this.fail(new Reset({ code: "EPIPE" }))
    else if (this.sending !== "open") this.sending = "ended"
    this.tellDrained()
    return undefined
  }

  private violated(detail: string): void {
    this.breakOff(new ProtocolViolation({ detail }))
  }

  private breakOff(failure: PortFailure): void {
    this.leave(Message.breakOff, failure)
    this.tell()
  }

  onUnreadable(): void {
    this.violated("a message that this side's platform can't read")
  }

  onClosed(): void {
    if (!this.isAlone) this.gone("PORT_CLOSED")
  }

  /** The peer is there no more. After both sides have ended, that is no failure. */
  private gone(code: string): void {
    if (this.receiving === "ended" && this.sending === "ended") this.isAlone = true
    else this.fail(new Reset({ code }))
  }

  private fail(failure: PortFailure): void {
    if (this.failure !== undefined) return
    this.failure = failure
    this.queue.clear()
    this.carrier.close()
    this.tell()
  }

  private tell(): void {
    this.listener?.readable()
    this.listener?.drained()
  }

  private tellDrained(): void {
    if (!this.full) this.listener?.drained()
  }

  // ---- writing ----

  offer(bytes: Uint8Array): boolean {
    if (this.mayWrite()) {
      this.queue.add(bytes)
      this.sendSoon()
    }
    return true
  }

  give(bytes: Uint8Array): boolean {
    if (!this.mayWrite()) return true
    if (!this.queue.give(bytes)) return false
    this.sendSoon()
    return true
  }

  /** Whether bytes can still be sent. If the peer has closed, this side fails a moment later, as with a kernel. */
  private mayWrite(): boolean {
    if (this.isAlone) queueMicrotask(() => this.fail(new Reset({ code: "EPIPE" })))
    return this.failure === undefined && this.sending === "open" && !this.isAlone
  }

  private sendSoon(): void {
    if (this.queue.bytes >= eagerBytes) {
      this.send()
      return
    }
    if (this.scheduled) return
    this.scheduled = true
    queueMicrotask(() => {
      this.scheduled = false
      const wasPending = this.pending > 0
      this.send()
      if (wasPending) this.tellDrained()
    })
  }

  /** Sends what there is credit for, and then the end. */
  private send(): void {
    const allows = (bytes: number) => this.credit.allows(bytes)
    for (let buffer = this.queue.take(allows); buffer !== undefined; buffer = this.queue.take(allows)) {
      this.credit.spend(buffer.byteLength)
      this.post(buffer)
    }
    if (this.sending === "ending" && this.queue.bytes === 0) {
      this.sending = "said"
      this.post(Message.end)
    }
  }

  private post(message: Posted): void {
    if (this.failure !== undefined) return
    try {
      this.carrier.post(message)
    } catch (cause) {
      const failure = new Reset({ code: "PORT_POST", cause })
      // A text may pass where a buffer can't, and not every platform tells the peer that this side closes.
      if (typeof message === "string") this.fail(failure)
      else this.breakOff(failure)
    }
  }

  get pending(): number {
    if (this.failure !== undefined) return 0
    const isEnding = this.sending === "ending" || this.sending === "said"
    return this.queue.bytes + (isEnding ? 1 : 0)
  }

  get full(): boolean {
    return this.failure === undefined && this.queue.bytes >= highWater
  }

  flush(): void {
    this.send()
  }

  end(): void {
    if (this.sending !== "open" || this.failure !== undefined) return
    this.sending = this.isAlone ? "ended" : "ending"
    this.send()
  }

  // ---- leaving ----

  close(): void {
    this.leave(this.sending === "ended" ? Message.close : Message.breakOff, locallyClosed)
  }

  destroy(): void {
    this.leave(Message.breakOff, locallyClosed)
  }

  /** Says a last word, if there is somebody to hear it, and closes. */
  private leave(word: string, failure: PortFailure): void {
    if (this.failure !== undefined) return
    if (!this.isAlone) this.post(word)
    this.failure ??= failure
    this.queue.clear()
    this.carrier.close()
  }
}
