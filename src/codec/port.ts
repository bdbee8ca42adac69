/**
 * The port of a codec over the port below: seals what is offered, once a tick, and opens what has arrived, once a take.
 */
import { isArrayNonEmpty } from "effect/Array"
import { Defect, locallyClosed, type PortFailure, ProtocolViolation, Tampered, Truncated } from "../ConnectionError.ts"
import type { Chunks, Port, PortListener, Room, Rooms } from "../Port.ts"
import type { Opener, Verdict } from "./frames.ts"
import { lent, plain } from "./rooms.ts"
import { giveStage, stageBytes, takeStage } from "./stage.ts"

/**
 * Seals what is written into frames: `head` bytes, then the body in place of its plaintext, then `tail` bytes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sealer {
  readonly head: number
  readonly tail: number
  /** The longest plaintext of one frame. Head, body, tail and end have at most 66,128 bytes together. */
  readonly maxBody: number
  /** Length of the sealed end. `Frames.head`, where `openHead` finds the end: bytes that follow it are ignored. */
  readonly endLength: number
  /**
   * Whether the key is used up, so that nothing more may be sealed. Read before each frame and each end. By default
   * never.
   */
  readonly spent?: boolean
  /** Seals the frame at `stage[offset]`, whose plaintext of `length` bytes lies at `stage[offset + head]`. */
  readonly seal: (stage: Uint8Array, offset: number, length: number) => void
  /** Writes the authenticated end at `stage[offset]`. */
  readonly sealEnd: (stage: Uint8Array, offset: number) => void
}

/**
 * Both directions of a codec.
 *
 * @category models
 * @since 0.1.0
 */
export interface Codec {
  readonly sealer: Sealer
  readonly opener: Opener
  /** Overwrites the keys. Nothing is sealed or opened afterwards. */
  readonly wipe: () => void
}

const keyUsedUp = new ProtocolViolation({ detail: "the key of this direction is used up" })

const nothing: ReadonlyArray<Uint8Array> = []

export class CodecPort implements Port, PortListener {
  /** The sealed end is the half close. */
  readonly halfClose = true
  readonly copies = true
  readonly below: Port
  private readonly codec: Codec
  private listener: PortListener | undefined
  private own: PortFailure | undefined

  /** What the handshake has read beyond its last message. */
  private leftover: ReadonlyArray<Uint8Array>
  private peerEnded = false

  private stage: Uint8Array | undefined
  /** Where in the stage the open frame begins, and how much plaintext is in it. */
  private frame = 0
  private fill = 0
  private endSealed = false
  private scheduled = false
  /** Stages that the port below has not copied. */
  private uncopied: Array<Uint8Array> | undefined

  /** Throws when a frame would not fit into a stage: a fault of the codec's author. */
  constructor(below: Port, codec: Codec, leftover: ReadonlyArray<Uint8Array>) {
    if (frameBytes(codec.sealer) > stageBytes) throw new RangeError(`a frame of the codec has over ${stageBytes} bytes`)
    this.below = below
    this.codec = codec
    // Usually there is nothing, and then the array that the handshake has grown is not kept.
    this.leftover = leftover.length === 0 ? nothing : leftover
  }

  listen(listener: PortListener): void {
    this.listener = listener
    this.below.listen(this)
  }

  readable(): void {
    this.listener?.readable()
  }

  get resets(): boolean {
    return this.below.resets === true
  }

  get failure(): PortFailure | undefined {
    return this.own ?? this.below.failure
  }

  get ended(): boolean {
    return this.peerEnded
  }

  // ---- reading ----

  take(): Chunks | undefined {
    const out: Array<Uint8Array> = []
    while (out.length === 0 && this.open) {
      const borrowed = this.leftover.length === 0 ? this.below.borrow?.() : undefined
      const chunks = borrowed ?? this.nextInput()
      if (chunks === undefined) {
        if (this.below.ended) this.fail(new Truncated())
        break
      }
      const { fresh, owned } = this.rooms
      this.openAll(chunks, out, borrowed === undefined ? owned : fresh)
    }
    return isArrayNonEmpty(out) ? out : undefined
  }

  borrow(): Chunks | undefined {
    if (this.leftover.length > 0 || !this.open) return undefined
    const chunks = this.below.borrow?.()
    const out: Array<Uint8Array> = []
    if (chunks !== undefined) this.openAll(chunks, out, lent)
    return isArrayNonEmpty(out) ? out : undefined
  }

  get rooms(): Rooms {
    return this.below.rooms ?? plain
  }

  private nextInput(): ReadonlyArray<Uint8Array> | undefined {
    if (this.leftover.length === 0) return this.below.take()
    const input = [...this.leftover, ...(this.below.take() ?? [])]
    this.leftover = nothing
    return input
  }

  /** Whether something can still arrive. */
  private get open(): boolean {
    return !this.peerEnded && this.own === undefined
  }

  private openAll(chunks: ReadonlyArray<Uint8Array>, out: Array<Uint8Array>, room: Room): void {
    for (const chunk of chunks) {
      if (!this.open) return
      let verdict: "more" | Verdict
      try {
        verdict = this.codec.opener.open(chunk, out, room)
      } catch (cause) {
        this.fail(new Defect({ cause }))
        return
      }
      this.verdict(verdict)
    }
  }

  private verdict(verdict: "more" | Verdict): void {
    switch (verdict) {
      case "more":
        return
      case "end":
        this.peerEnded = true
        // Both have said goodbye: now comes the FIN, and not before, because a 3.8.2 peer drops what it owes at a FIN.
        if (this.endSealed) this.below.end()
        return
      case "tampered":
        this.fail(new Tampered())
        return
      case "violation":
        this.fail(
          new ProtocolViolation({
            detail: "a frame is longer than this side reads, or its key has sealed too many frames"
          })
        )
        return
    }
  }

  /** Sends nothing more, so that an attacker learns nothing from an answer. */
  private fail(failure: PortFailure): void {
    this.own = failure
    this.letGo()
    try {
      this.below.destroy()
    } catch (cause) {
      this.own = new Defect({ cause })
    }
    this.listener?.readable()
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

  /**
   * The stage, with room for `length` more bytes in the open frame and for the end after it. Contents that outgrow a
   * small stage move to a large one.
   */
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
    try {
      this.flush()
    } catch (cause) {
      // The port below threw, or a part of the codec whose exceptions are not caught where it is called.
      this.fail(new Defect({ cause }))
    }
  }

  private sealFrame(stage: Uint8Array): void {
    const { sealer } = this.codec
    if (sealer.spent === true) {
      this.fail(keyUsedUp)
      return
    }
    try {
      sealer.seal(stage, this.frame, this.fill)
    } catch (cause) {
      this.fail(new Defect({ cause }))
      return
    }
    this.frame += sealer.head + this.fill + sealer.tail
    this.fill = 0
    // A large stage is sent when it has no room for another frame. A small one waits for the end of the tick.
    if (stage.length === stageBytes && this.frame + frameBytes(sealer) > stageBytes) this.sendStage(stage)
  }

  private sendStage(stage: Uint8Array): void {
    const sealed = stage.subarray(0, this.frame)
    this.stage = undefined
    this.frame = 0
    if (this.below.offer(sealed)) {
      giveStage(stage)
    } else {
      this.uncopied ??= []
      this.uncopied.push(stage)
    }
  }

  flush(): void {
    if (this.stage !== undefined && this.fill > 0) this.sealFrame(this.stage)
    if (this.stage !== undefined) this.sendStage(this.stage)
    this.below.flush()
  }

  end(): void {
    if (this.endSealed || this.failure !== undefined) return
    if (this.stage !== undefined && this.fill > 0) this.sealFrame(this.stage)
    if (this.own !== undefined) return
    if (this.codec.sealer.spent === true) {
      this.fail(keyUsedUp)
      return
    }
    this.endSealed = true
    const stage = this.stage ?? takeStage(this.codec.sealer.endLength)
    try {
      this.codec.sealer.sealEnd(stage, this.frame)
    } catch (cause) {
      this.fail(new Defect({ cause }))
      return
    }
    this.frame += this.codec.sealer.endLength
    this.sendStage(stage)
    if (this.peerEnded) this.below.end()
    else this.below.flush()
  }

  get pending(): number {
    return this.frame + this.fill + this.below.pending
  }

  get full(): boolean {
    return this.below.full
  }

  drained(): void {
    if (this.uncopied !== undefined && this.below.pending === 0) {
      // A port that failed has nothing pending, and its socket may still be sending: those stages are never used again.
      if (this.below.failure === undefined) for (const stage of this.uncopied) giveStage(stage)
      this.uncopied = undefined
    }
    this.listener?.drained()
  }

  // ---- leaving ----

  close(): void {
    this.own ??= locallyClosed
    this.letGo()
  }

  destroy(): void {
    this.own ??= this.below.failure ?? locallyClosed
    this.letGo()
    this.below.destroy()
  }

  /** Stages may hold plaintext, or still belong to the kernel, so they don't go back to the pool. */
  private letGo(): void {
    try {
      this.codec.wipe()
    } catch (cause) {
      this.own = new Defect({ cause })
    }
    this.stage = undefined
    this.frame = 0
    this.fill = 0
    this.uncopied = undefined
  }
}

/** The most bytes that one frame takes, with the end after it. */
const frameBytes = (sealer: Sealer): number => sealer.head + sealer.maxBody + sealer.tail + sealer.endLength
