/** The writing side of a connection: whole writes, in order, no faster than the port takes them. */
import * as Effect from "effect/Effect"
import { type ConnectionError, Defect, LocallyClosed, type PortFailure } from "../ConnectionError.ts"
import type { Leaving } from "../Link.ts"
import type { Chunks, Port } from "../Port.ts"

/** In bytes. A large chunk is offered in slices of this size, so that it stops when the port is full. */
const sliceBytes = 64 * 1024

/**
 * `ending`: this side has said its end. `ended`: the end has left user space. `shut`: every write fails with this from
 * now on. `hadEnded`: whether the end had left user space before that.
 */
type State = "open" | "ending" | "ended" | { readonly shut: PortFailure; readonly hadEnded: boolean }

type Done = Effect.Effect<void, ConnectionError>

/** A write, flush or end that waits for its turn or for the port. */
interface Job {
  readonly kind: "write" | "give" | "flush" | "end"
  readonly chunks: ReadonlyArray<Uint8Array>
  /** How many of its chunks were offered whole, and how many bytes of the next one. */
  index: number
  offset: number
  /** Whether it is done only when everything has left user space. */
  isHeld: boolean
  /** Of a flush or an end: whether the port was told. */
  told: boolean
  /** Whether a byte of it was offered. */
  hasBegun: boolean
  isDone: boolean
  readonly resume: (done: Done) => void
}

const none: ReadonlyArray<Uint8Array> = []

export class Writer {
  private readonly leaving: Leaving
  private state: State = "open"
  private jobs: Array<Job> | undefined
  bytes = 0
  /** The port is being written to, and may call back. */
  private offering = false
  private again = false

  constructor(leaving: Leaving) {
    this.leaving = leaving
  }

  private get port(): Port {
    return this.leaving.top
  }

  get finished(): boolean {
    return this.state === "ended" || (typeof this.state === "object" && this.state.hadEnded)
  }

  get waits(): boolean {
    return this.jobs !== undefined && this.jobs.length > 0
  }

  get torn(): boolean {
    return this.jobs?.some(({ index, offset }) => index > 0 || offset > 0) ?? false
  }

  // ---- waiting ----

  /** Writes a chunk: waits until the port has accepted it. */
  write(chunk: Uint8Array): Done {
    return Effect.suspend(() => {
      // The common case in one operation: no job waits, and the port copies.
      if (this.port.copies === true && this.takesNow(chunk)) return this.offerNow(chunk) ?? Effect.void
      return this.writeAll([chunk])
    })
  }

  /** As `write`, for a chunk that is valid only until this returns. `undefined`: it was accepted at once. */
  writeBorrowed(chunk: Uint8Array): Done | undefined {
    if (!this.takesNow(chunk)) return this.write(new Uint8Array(chunk))
    return this.offerNow(this.port.copies === true ? chunk : new Uint8Array(chunk))
  }

  writeAll(chunks: Chunks): Done {
    return Effect.callback((resume) => this.wait("write", chunks, resume))
  }

  /** As `writeAll`, for chunks that their owner never uses again. */
  giveAll(chunks: Chunks): Done {
    return Effect.callback((resume) => this.wait("give", chunks, resume))
  }

  /** Waits until everything has left user space. */
  flush(): Done {
    return Effect.callback((resume) => this.wait("flush", none, resume))
  }

  /** Says the end, and waits until it has left user space. */
  end(): Done {
    return Effect.callback((resume) => this.wait("end", none, resume))
  }

  /** Registers, then does what can be done, in one synchronous step, so that no interruption can come in between. */
  private wait(kind: Job["kind"], chunks: Job["chunks"], resume: Job["resume"]): Effect.Effect<void> | undefined {
    const isWrite = isWriting(kind)
    const job: Job = {
      kind,
      chunks,
      index: 0,
      offset: 0,
      isHeld: !isWrite,
      told: isWrite,
      hasBegun: false,
      isDone: false,
      resume
    }
    this.jobs ??= []
    this.jobs.push(job)
    this.advance()
    return job.isDone ? undefined : Effect.sync(() => this.cancel(job))
  }

  private cancel(job: Job): void {
    if (job.isDone) return
    this.remove(job)
    // A stream can't go on with a hole in it, or with bytes that their owner may change from now on.
    if (job.hasBegun) this.leaving.destroy(new LocallyClosed({ why: "interrupted" }))
    else this.advance()
  }

  private remove(job: Job): void {
    job.isDone = true
    this.jobs?.splice(this.jobs.indexOf(job), 1)
  }

  /** Does the jobs in order, as far as the port accepts them. No job is resumed anywhere else. */
  advance(): void {
    this.again = true
    if (this.offering) return
    this.lookForEnded()
    for (let job = this.jobs?.[0]; job !== undefined; job = this.jobs?.[0]) {
      const done = this.attempt(job)
      // A callback from the port may have interrupted the job.
      if (job.isDone) continue
      if (done !== undefined) {
        this.remove(job)
        job.resume(done)
      } else if (!this.again) return
    }
  }

  // ---- doing ----

  /** Whether a chunk can be offered at once and whole. */
  private takesNow(chunk: Uint8Array): boolean {
    return !this.offering && !this.waits && this.state === "open" && !this.port.full && chunk.length <= sliceBytes
  }

  /** `undefined` when it was accepted. */
  private offerNow(chunk: Uint8Array): Done | undefined {
    const refused = this.refusal()
    if (refused !== undefined || chunk.length === 0) return refused
    this.offering = true
    try {
      this.port.offer(chunk)
      this.bytes += chunk.length
      // A codec may have failed over it.
      return this.refusal()
    } catch (cause) {
      return this.defect(cause)
    } finally {
      this.offering = false
      // A fiber that was resumed during the offer may have added a job.
      if (this.waits) this.advance()
    }
  }

  private refusal(): Done | undefined {
    const failure = typeof this.state === "object" ? this.state.shut : this.leaving.failure
    return failure === undefined ? undefined : this.leaving.failing(failure)
  }

  private defect(cause: unknown): Done | undefined {
    this.leaving.giveUp(new Defect({ cause }))
    return this.refusal()
  }

  /** Does as much of a job as can be done now. `undefined`: it is not finished. */
  private attempt(job: Job): Done | undefined {
    this.again = false
    this.offering = true
    try {
      return this.step(job)
    } catch (cause) {
      return this.defect(cause)
    } finally {
      this.offering = false
    }
  }

  private step(job: Job): Done | undefined {
    const refused = this.refusal()
    if (refused !== undefined) return refused
    const { chunks, kind } = job
    if (this.hasSaidEnd && isWriting(kind) && !job.isHeld) return this.leaving.failing(afterEnd)
    if (job.index < chunks.length) this.offer(job)
    if (job.index < chunks.length) return undefined
    if (!job.told) {
      job.told = true
      if (kind === "flush") this.port.flush()
      else this.sayEnd()
    }
    if (job.isHeld && this.port.pending > 0) return undefined
    this.lookForEnded()
    return this.refusal() ?? Effect.void
  }

  /** Notices that the end has left user space, even when no job waits for that any more. */
  private lookForEnded(): void {
    if (this.state !== "ending" || this.port.pending > 0 || this.port.failure !== undefined) return
    this.state = "ended"
    this.leaving.lookForEnd()
  }

  private offer(job: Job): void {
    const { port } = this
    if (port.full) return
    port.cork?.()
    try {
      while (job.index < job.chunks.length && !port.full) {
        const chunk = job.chunks[job.index] as Uint8Array
        if (job.kind === "give" && job.offset === 0 && this.gave(job, chunk)) continue
        // It would never be done.
        if (job.offset > chunk.length) throw new TypeError("the memory of a chunk was moved away while it was written")
        const slice = sliceOf(chunk, job.offset)
        job.hasBegun ||= slice.length > 0
        if (slice.length > 0 && !port.offer(slice)) job.isHeld = true
        this.bytes += slice.length
        job.offset += slice.length
        if (job.offset === chunk.length) {
          job.index++
          job.offset = 0
        }
      }
    } finally {
      port.uncork?.()
    }
  }

  /** Gives the port a whole chunk, if it takes it. Afterwards the chunk may have no memory any more. */
  private gave(job: Job, chunk: Uint8Array): boolean {
    const { length } = chunk
    if (this.port.give?.(chunk) !== true) return false
    job.hasBegun ||= length > 0
    job.index++
    this.bytes += length
    return true
  }

  private get hasSaidEnd(): boolean {
    return this.state === "ending" || this.state === "ended"
  }

  private sayEnd(): void {
    if (this.state !== "open") return
    this.state = "ending"
    this.port.end()
  }

  // ---- leaving ----

  shut(failure: PortFailure): void {
    if (typeof this.state === "object") return
    this.state = { shut: failure, hadEnded: this.state === "ended" }
    this.advance()
  }
}

const afterEnd = new LocallyClosed({ why: "ended" })

const isWriting = (kind: Job["kind"]): boolean => kind === "write" || kind === "give"

const sliceOf = (chunk: Uint8Array, offset: number): Uint8Array =>
  chunk.length <= sliceBytes ? chunk : chunk.subarray(offset, Math.min(offset + sliceBytes, chunk.length))
