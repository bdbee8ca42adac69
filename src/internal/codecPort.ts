/** The port of a codec over the port below: seals what is offered, once a tick, and opens what has arrived, once a take. */
import { isArrayNonEmpty } from "effect/Array"
import type { Codec, Room, Sealer, Verdict } from "../Codec.ts"
import type { Chunks, Port, PortListener } from "../Connection.ts"
import { type ConnectionReason, locallyClosed, ProtocolViolation, Tampered, Truncated } from "../ConnectionError.ts"
import { fresh, lent, owned } from "./room.ts"
import { giveStage, stageBytes, takeStage } from "./stage.ts"

const keyUsedUp = new ProtocolViolation({ detail: "the key of this direction is used up" })

const nothing: ReadonlyArray<Uint8Array> = []

export class CodecPort implements Port, PortListener {
  /** The sealed end is the half close. */
  readonly halfClose = true
  readonly copies = true
  private readonly lower: Port
  private readonly codec: Codec
  private listener: PortListener | undefined
  private own: ConnectionReason | undefined

  /** What the handshake had read too much of. */
  private leftover: ReadonlyArray<Uint8Array>
  private peerEnded = false

  private stage: Uint8Array | undefined
  /** Where in the stage the open frame begins, and how much plaintext is in it. */
  private frame = 0
  private fill = 0
  private endSealed = false
  private scheduled = false
  /** Stages that the lower port has not copied. */
  private lent: Array<Uint8Array> | undefined

  constructor(lower: Port, codec: Codec, leftover: ReadonlyArray<Uint8Array>) {
    this.lower = lower
    this.codec = codec
    // Mostly there is nothing: the array that the handshake has grown is not kept.
    this.leftover = leftover.length === 0 ? nothing : leftover
  }

  listen(listener: PortListener): void {
    this.listener = listener
    this.lower.listen(this)
  }

  readable(): void {
    this.listener?.readable()
  }

  get resets(): boolean {
    return this.lower.resets === true
  }

  get failure(): ConnectionReason | undefined {
    return this.own ?? this.lower.failure
  }

  get ended(): boolean {
    return this.peerEnded
  }

  // ---- reading ----

  take(): Chunks | undefined {
    const out: Array<Uint8Array> = []
    while (out.length === 0 && this.open) {
      const borrowed = this.leftover.length === 0 ? this.lower.borrow?.() : undefined
      const chunks = borrowed ?? this.nextInput()
      if (chunks === undefined) {
        if (this.lower.ended) this.fail(new Truncated())
        break
      }
      this.openAll(chunks, out, borrowed === undefined ? owned : fresh)
    }
    return isArrayNonEmpty(out) ? out : undefined
  }

  borrow(): Chunks | undefined {
    if (this.leftover.length > 0 || !this.open) return undefined
    const chunks = this.lower.borrow?.()
    const out: Array<Uint8Array> = []
    if (chunks !== undefined) this.openAll(chunks, out, lent)
    return isArrayNonEmpty(out) ? out : undefined
  }

  private nextInput(): ReadonlyArray<Uint8Array> | undefined {
    if (this.leftover.length === 0) return this.lower.take()
    const input = this.leftover
    this.leftover = nothing
    return input
  }

  /** Whether something can still arrive. */
  private get open(): boolean {
    return !this.peerEnded && this.own === undefined
  }

  private openAll(chunks: ReadonlyArray<Uint8Array>, out: Array<Uint8Array>, room: Room): void {
    for (let i = 0; i < chunks.length && this.open; i++) {
      this.verdict(this.codec.opener.open(chunks[i] as Uint8Array, out, room))
    }
  }

  private verdict(verdict: "more" | Verdict): void {
    switch (verdict) {
      case "more":
        return
      case "end":
        this.peerEnded = true
        // Both have said goodbye: now comes the FIN, and not before, because a 3.8.2 peer drops what it owes at a FIN.
        if (this.endSealed) this.lower.end()
        return
      case "tampered":
        this.fail(new Tampered())
        return
      case "violation":
        this.fail(new ProtocolViolation({ detail: "a frame longer than this side reads" }))
        return
    }
  }

  /** Nothing more goes out: an attacker learns nothing from an answer. */
  private fail(reason: ConnectionReason): void {
    this.own = reason
    this.letGo()
    this.lower.destroy()
    this.listener?.drained()
  }

  // ---- writing ----

  offer(bytes: Uint8Array): boolean {
    if (this.failure !== undefined || this.endSealed) return true
    const { head, maxBody } = this.codec.sealer
    let from = 0
    while (from < bytes.length && this.own === undefined) {
      const length = Math.min(maxBody - this.fill, bytes.length - from)
      const part = length === bytes.length ? bytes : bytes.subarray(from, from + length)
      const stage = this.stageFor(length)
      stage.set(part, this.frame + head + this.fill)
      this.fill += length
      from += length
      if (this.fill === maxBody) this.sealFrame(stage)
    }
    if (!this.scheduled && this.stage !== undefined) {
      this.scheduled = true
      queueMicrotask(() => this.onTick())
    }
    return true
  }

  /** The stage, with room for so much more in the open frame, and the end after it. What outgrows a small one moves to a large one. */
  private stageFor(length: number): Uint8Array {
    const { endLength, head, tail } = this.codec.sealer
    const { stage } = this
    const filled = this.frame + head + this.fill
    const needed = filled + length + tail + endLength
    if (stage !== undefined && needed <= stage.length) return stage
    const roomy = takeStage(needed)
    if (stage !== undefined) {
      roomy.set(stage.subarray(0, filled))
      stage.fill(0, this.frame)
      giveStage(stage)
    }
    this.stage = roomy
    return roomy
  }

  private onTick(): void {
    this.scheduled = false
    this.flush()
  }

  private sealFrame(stage: Uint8Array): void {
    const { sealer } = this.codec
    if (sealer.spent === true) {
      this.fail(keyUsedUp)
      return
    }
    sealer.seal(stage, this.frame, this.fill)
    this.frame += sealer.head + this.fill + sealer.tail
    this.fill = 0
    // A large one waits for more as long as there is room; a small one for the end of the tick.
    if (stage.length === stageBytes && this.frame + frameBytes(sealer) > stageBytes) this.sendStage(stage)
  }

  private sendStage(stage: Uint8Array): void {
    const sealed = stage.subarray(0, this.frame)
    this.stage = undefined
    this.frame = 0
    if (this.lower.offer(sealed)) {
      giveStage(stage)
    } else {
      this.lent ??= []
      this.lent.push(stage)
    }
  }

  flush(): void {
    if (this.stage !== undefined && this.fill > 0) this.sealFrame(this.stage)
    if (this.stage !== undefined) this.sendStage(this.stage)
    this.lower.flush()
  }

  end(): void {
    if (this.endSealed || this.failure !== undefined) return
    if (this.stage !== undefined && this.fill > 0) this.sealFrame(this.stage)
    if (this.codec.sealer.spent === true) {
      this.fail(keyUsedUp)
      return
    }
    this.endSealed = true
    const stage = this.stage ?? takeStage(this.codec.sealer.endLength)
    this.codec.sealer.sealEnd(stage, this.frame)
    this.frame += this.codec.sealer.endLength
    this.sendStage(stage)
    this.lower.flush()
    if (this.peerEnded) this.lower.end()
  }

  get pending(): number {
    return this.frame + this.fill + this.lower.pending
  }

  get full(): boolean {
    return this.lower.full
  }

  drained(): void {
    if (this.lent !== undefined && this.lower.pending === 0) {
      for (const stage of this.lent) giveStage(stage)
      this.lent = undefined
    }
    this.listener?.drained()
  }

  // ---- leaving ----

  close(): void {
    this.own ??= locallyClosed
    this.letGo()
  }

  destroy(): void {
    this.own ??= this.lower.failure ?? locallyClosed
    this.letGo()
    this.lower.destroy()
  }

  /** Stages may hold plaintext, or belong to the kernel still: they don't go back to the pool. */
  private letGo(): void {
    this.codec.wipe()
    this.stage = undefined
    this.frame = 0
    this.fill = 0
    this.lent = undefined
  }
}

/** The most that one frame takes, and the end after it. */
const frameBytes = (sealer: Sealer): number => sealer.head + sealer.maxBody + sealer.tail + sealer.endLength
