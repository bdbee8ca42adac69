/** The Effect face of a port: who waits to read, who waits to write, and how it is left. */
import { isArrayNonEmpty } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Pull from "effect/Pull"
import { type Address, format } from "../Address.ts"
import type { Account, Chunks, Port, PortListener, Use } from "../Connection.ts"
import { ConnectionError, type ConnectionReason, LocallyClosed, TimedOut } from "../ConnectionError.ts"

/** A big chunk is offered in slices of this size, so that a stalled peer stops it within the bound. */
const sliceBytes = 64 * 1024

/** A write, flush or end that waits for its turn or for the port. */
interface Job {
  readonly chunks: ReadonlyArray<Uint8Array>
  /** Done once, after the chunks. */
  readonly last: (() => void) | undefined
  index: number
  offset: number
  /** Whether it ends only when everything has left user space. */
  held: boolean
  lastDone: boolean
  resume: (effect: Effect.Effect<void, ConnectionError>) => void
}

/** Who waits for bytes. */
interface Reader {
  readonly resume: (outcome: Pull.Pull<Chunks, ConnectionError>) => void
  /** It can do with bytes that are lent. */
  readonly lend?: (chunks: Chunks) => void
  /** Who waits behind it. */
  next: Reader | undefined
}

/** What a callback throws is its author's: it must not reach the socket that is being read. */
const attempt = <A>(run: () => A): A | Effect.Effect<never> => {
  try {
    return run()
  } catch (defect) {
    return Effect.die(defect)
  }
}

/** How often it is looked whether a peer that was said goodbye to still sends. */
const lookMillis = 20

/** The state behind one `Connection`. */
export class Face implements PortListener {
  readonly port: Port
  private readonly remote: Address
  /** The first of those who wait: mostly the only one, so that an array would be the largest part of a face. */
  private reader: Reader | undefined
  /** Taken from the port and not read yet: what came with a chunk whose borrower wanted a pause, or before draining began. */
  private late: Array<Uint8Array> | undefined
  private jobs: Array<Job> | undefined
  private advancing = false
  private polling = false
  private heard = false
  private closed: LocallyClosed["why"] | undefined
  private draining = false
  /** Whether something has arrived for nobody; `undefined` while there is a reader. */
  private discarded: boolean | undefined
  private endSaid = false
  /** The end has left user space. */
  private endFlushed = false
  private leaving: ((effect: Effect.Effect<void>) => void) | undefined
  private left: Account["tag"] | undefined
  private bytesRead = 0
  private bytesWritten = 0
  /** Why this side has given up on it. */
  private expired: ConnectionReason | undefined
  /** What its scope runs for it, and for the one above. */
  finalizer: ((exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>) | undefined
  /** Runs when it has left: see `whenLeft`. */
  onLeft: (() => void) | undefined
  /** Whether it is not cut off from a peer that still sends. */
  outlasts = false
  /** The one over its port that leaves with it. */
  above: Face | undefined
  /** What a handshake has carried by itself. */
  tally: Pick<Account, "bytesRead" | "bytesWritten"> | undefined

  constructor(port: Port, remote: Address) {
    this.port = port
    this.remote = remote
    port.listen(this)
  }

  account(): Account {
    return {
      bytesRead: this.bytesRead + (this.tally?.bytesRead ?? 0),
      bytesWritten: this.bytesWritten + (this.tally?.bytesWritten ?? 0),
      tag: this.left ?? this.tag()
    }
  }

  private tag(): Account["tag"] {
    const { port } = this
    // When both have said that all was said, what becomes of the socket afterwards is no failure.
    return port.ended && this.endFlushed ? "end" : (port.failure?._tag ?? "closed")
  }

  private error(reason: ConnectionReason): ConnectionError {
    return new ConnectionError({ remote: format(this.remote), reason })
  }

  private localError(why: LocallyClosed["why"]): ConnectionError {
    return this.error(new LocallyClosed({ why }))
  }

  // ---- reading ----

  /** What a pull ends with now; `undefined`: nothing yet. */
  private poll(): Pull.Pull<Chunks, ConnectionError> | undefined {
    if (this.closed !== undefined) return Effect.fail(this.localError(this.closed))
    const { port } = this
    const chunks = this.takeLate() ?? (this.draining ? undefined : port.take())
    if (chunks !== undefined) {
      for (const chunk of chunks) this.bytesRead += chunk.length
      return Effect.succeed(chunks)
    }
    if (port.ended) return Cause.done()
    const failure = this.expired ?? port.failure
    if (failure !== undefined) return Effect.fail(this.error(failure))
    return this.draining ? Effect.fail(this.localError("draining")) : undefined
  }

  /** As `poll`, which may make the port call back: what comes of that is for the next turn, behind this one's bytes. */
  private pollOnce(): Pull.Pull<Chunks, ConnectionError> | undefined {
    for (;;) {
      this.polling = true
      this.heard = false
      const outcome = this.poll()
      this.polling = false
      if (outcome !== undefined || !this.heard) return outcome
    }
  }

  readable(): void {
    this.heard = true
    if (this.discarded !== undefined) this.takeForNobody()
    for (let { reader } = this; reader !== undefined && !this.polling; reader = this.reader) {
      const lent = reader.lend === undefined ? undefined : this.borrow()
      if (lent !== undefined) {
        this.polling = true
        reader.lend?.(lent)
        this.polling = false
        continue
      }
      const outcome = this.pollOnce()
      if (outcome === undefined) return
      const { reader: first } = this
      this.reader = first?.next
      first?.resume(outcome)
    }
  }

  private takeForNobody(): void {
    if (this.polling) return
    this.polling = true
    do {
      this.heard = false
      while (this.port.take() !== undefined) this.discarded = true
    } while (this.heard)
    this.polling = false
  }

  private borrow(): Chunks | undefined {
    if (this.closed !== undefined || this.draining || this.late !== undefined) return undefined
    this.polling = true
    const chunks = this.port.borrow?.()
    this.polling = false
    for (const chunk of chunks ?? []) this.bytesRead += chunk.length
    return chunks
  }

  /** What a pull ends with at once; `undefined`: it has to `wait`. */
  pullNow(): Pull.Pull<Chunks, ConnectionError> | undefined {
    return this.reader === undefined ? this.pollOnce() : undefined
  }

  wait(resume: Reader["resume"]): Effect.Effect<void> {
    return this.await({ resume, next: undefined })
  }

  private await(reader: Reader): Effect.Effect<void> {
    const last = this.lastReader()
    if (last === undefined) this.reader = reader
    else last.next = reader
    return Effect.sync(() => this.forget(reader))
  }

  private lastReader(): Reader | undefined {
    let last = this.reader
    while (last?.next !== undefined) last = last.next
    return last
  }

  private forget(reader: Reader): void {
    if (this.reader === reader) {
      this.reader = reader.next
      return
    }
    for (let before = this.reader; before !== undefined; before = before.next) {
      if (before.next === reader) before.next = reader.next
    }
  }

  /** Hands each chunk to `use`, which borrows it, until the clean end. */
  forEachChunk<E, R>(use: Use<E, R>): Effect.Effect<void, ConnectionError | E, R> {
    type Outcome = Effect.Effect<void, ConnectionError | E, R>
    /** What to do next when `use` wants a pause. The chunks that it has not seen wait, and those that are lent as copies. */
    const each = (chunks: Chunks, areLent: boolean): Outcome | undefined => {
      for (const [i, chunk] of chunks.entries()) {
        const wait = attempt(() => use(chunk))
        if (wait === undefined) continue
        const unseen = chunks.slice(i + 1)
        this.putBack(areLent ? unseen.map((bytes) => new Uint8Array(bytes)) : unseen)
        return Effect.flatMap(wait, () => goOn)
      }
      return undefined
    }
    const onTaken = (outcome: Pull.Pull<Chunks, ConnectionError>): Outcome =>
      outcome.pipe(
        Effect.flatMap((chunks) => each(chunks, false) ?? goOn),
        Effect.catchIf(Cause.isDone, () => Effect.void)
      )
    const next: Outcome = Effect.callback((resume) => {
      const reader: Reader = {
        next: undefined,
        resume: (outcome) => resume(onTaken(outcome)),
        lend: (chunks) => {
          const wait = each(chunks, true)
          if (wait === undefined) return
          this.forget(reader)
          resume(wait)
        }
      }
      return this.await(reader)
    })
    const goOn: Outcome = Effect.suspend(() => {
      const outcome = this.pullNow()
      return outcome === undefined ? next : onTaken(outcome)
    })
    return goOn
  }

  private putBack(chunks: ReadonlyArray<Uint8Array>): void {
    this.late = [...chunks, ...(this.late ?? [])]
    for (const chunk of chunks) this.bytesRead -= chunk.length
  }

  private takeLate(): Chunks | undefined {
    const { late } = this
    this.late = undefined
    return late !== undefined && isArrayNonEmpty(late) ? late : undefined
  }

  // ---- writing ----

  private refusal(): Effect.Effect<never, ConnectionError> | undefined {
    if (this.closed !== undefined) return Effect.fail(this.localError(this.closed))
    const failure = this.expired ?? this.port.failure
    return failure === undefined ? undefined : Effect.fail(this.error(failure))
  }

  /** Does what can be done of a job now. `undefined`: not finished. */
  private step(job: Job): Effect.Effect<void, ConnectionError> | undefined {
    const refused = this.refusal()
    if (refused !== undefined) return refused
    if (this.endSaid && job.chunks.length > 0 && !job.held) return Effect.fail(this.localError("ended"))
    const { port } = this
    if (job.index < job.chunks.length && !port.full) {
      port.cork?.()
      this.offer(job)
      port.uncork?.()
    }
    if (job.index < job.chunks.length) return undefined
    if (!job.lastDone) {
      job.lastDone = true
      job.last?.()
    }
    if (job.held && port.pending > 0) return undefined
    if (this.endSaid && port.failure === undefined) this.endFlushed = true
    return this.refusal() ?? Effect.void
  }

  private offer(job: Job): void {
    const { port } = this
    while (job.index < job.chunks.length && !port.full) {
      const chunk = job.chunks[job.index] as Uint8Array
      const slice =
        chunk.length <= sliceBytes ? chunk : chunk.subarray(job.offset, Math.min(job.offset + sliceBytes, chunk.length))
      if (slice.length > 0 && !port.offer(slice)) job.held = true
      this.bytesWritten += slice.length
      job.offset += slice.length
      if (job.offset === chunk.length) {
        job.index++
        job.offset = 0
      }
    }
  }

  drained(): void {
    if (!this.advancing) {
      this.advancing = true
      for (let job = this.jobs?.[0]; job !== undefined; job = this.jobs?.[0]) {
        const outcome = this.step(job)
        if (outcome === undefined) break
        this.jobs?.shift()
        job.resume(outcome)
      }
      this.advancing = false
    }
    if (this.leaving !== undefined && (this.port.pending === 0 || this.port.failure !== undefined)) {
      this.leaving(Effect.void)
    }
  }

  private submit(chunks: ReadonlyArray<Uint8Array>, last?: () => void): Effect.Effect<void, ConnectionError> {
    return this.queue({ chunks, last, index: 0, offset: 0, held: last !== undefined, lastDone: false })
  }

  /** Waits behind those who came before. */
  private queue(waiting: Omit<Job, "resume">): Effect.Effect<void, ConnectionError> {
    return Effect.callback((resume) => {
      const job: Job = { ...waiting, resume }
      this.jobs ??= []
      this.jobs.push(job)
      this.drained()
      return Effect.sync(() => this.cancel(job))
    })
  }

  private cancel(job: Job): void {
    const at = this.jobs?.indexOf(job) ?? -1
    if (at < 0) return
    this.jobs?.splice(at, 1)
    // A stream with a hole in it, or with bytes that their owner may change now, can't go on.
    if (job.last === undefined && (job.index > 0 || job.offset > 0)) this.shut("interrupted")
    else this.drained()
  }

  private get hasJobs(): boolean {
    return this.jobs !== undefined && this.jobs.length > 0
  }

  /** Whether it need not wait its turn, or in parts. */
  private takesNow(chunk: Uint8Array): boolean {
    return !this.hasJobs && !this.endSaid && !this.port.full && chunk.length <= sliceBytes
  }

  write(chunk: Uint8Array): Effect.Effect<void, ConnectionError> {
    return Effect.suspend(() => {
      // The common case in one operation: nobody waits, and the port copies.
      if (this.takesNow(chunk)) {
        const refused = this.refusal()
        if (refused !== undefined) return refused
        this.bytesWritten += chunk.length
        if (chunk.length === 0 || this.port.offer(chunk)) return Effect.void
        // The port has all of it, but not copied: its owner waits.
        return this.queue({ chunks: [chunk], last: undefined, index: 1, offset: 0, held: true, lastDone: false })
      }
      return this.submit([chunk])
    })
  }

  /** As `write`, of a chunk that is only there until this returns; `undefined` when it was accepted. */
  writeBorrowed(chunk: Uint8Array): Effect.Effect<void, ConnectionError> | undefined {
    if (!this.takesNow(chunk)) return this.write(new Uint8Array(chunk))
    const refused = this.refusal()
    if (refused !== undefined) return refused
    const { port } = this
    this.bytesWritten += chunk.length
    port.offer(port.copies === true ? chunk : new Uint8Array(chunk))
    return undefined
  }

  writeAll(chunks: Chunks): Effect.Effect<void, ConnectionError> {
    return Effect.suspend(() => this.submit(chunks))
  }

  flush(): Effect.Effect<void, ConnectionError> {
    return this.submit([], () => this.port.flush())
  }

  end(): Effect.Effect<void, ConnectionError> {
    return this.submit([], () => this.sayEnd())
  }

  private sayEnd(): void {
    if (this.endSaid) return
    this.endSaid = true
    this.port.end()
  }

  // ---- leaving ----

  /** Fails everything that waits, and whatever is asked from now on. */
  private refuse(why: LocallyClosed["why"]): void {
    this.closed ??= why
    this.readable()
    this.drained()
  }

  private shut(why: LocallyClosed["why"]): void {
    this.left ??= "LocallyClosed"
    this.port.destroy()
    this.refuse(why)
  }

  /** A transform takes the port over. */
  consume(): Port {
    this.refuse("consumed")
    return this.port
  }

  drain(): void {
    if (this.draining) return
    // What comes later is for nobody.
    this.late = [...(this.late ?? []), ...(this.port.take() ?? [])]
    this.draining = true
    this.readable()
  }

  /** Whether what is written waits for the peer. */
  get stalled(): boolean {
    return this.hasJobs || this.port.pending > 0
  }

  /** Fails it with `TimedOut`. */
  expire(): void {
    this.left ??= "TimedOut"
    this.expired ??= new TimedOut()
    this.port.destroy()
    this.readable()
    this.drained()
  }

  /**
   * Reads on for nobody until the peer has ended or is silent. In milliseconds: how long to wait for the first that arrives and for more
   * after it, and for how long altogether.
   */
  readOn(first: number, more: number, left: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.discarded ??= false
      this.readable()
      const { discarded, port } = this
      this.discarded = false
      if (port.ended || port.failure !== undefined || left <= 0 || (!discarded && first <= 0)) return Effect.void
      const silence = discarded ? more : first - lookMillis
      return Effect.andThen(Effect.sleep(lookMillis), this.readOn(silence, more, left - lookMillis))
    })
  }

  /** Runs this when it has left, or now when it has already. */
  whenLeft(run: () => void): void {
    if (this.closed === "closed") run()
    else this.onLeft = run
  }

  /** The end of the connection's scope. */
  leave(exit: Exit.Exit<unknown, unknown>, remaining: () => Effect.Effect<number>): Effect.Effect<void> {
    const { port } = this
    const unfinished = this.jobs?.some((job) => job.index > 0 || job.offset > 0)
    if (Exit.isFailure(exit) || unfinished || port.failure !== undefined || this.closed === "interrupted") {
      const tag = this.tag()
      this.left ??= tag === "closed" ? "LocallyClosed" : tag
      port.destroy()
      this.refuse("closed")
      return Effect.void
    }
    this.refuse("closed")
    this.sayEnd()
    if (port.pending > 0) return this.linger(remaining)
    return this.lastLook(remaining)
  }

  /** A socket that is closed over unread bytes takes with it what the peer has yet to read. */
  private lastLook(remaining: () => Effect.Effect<number>): Effect.Effect<void> {
    const { port } = this
    if (!this.outlasts || port.resets !== true || port.ended || port.failure !== undefined) {
      this.depart()
      return Effect.void
    }
    return Effect.flatMap(remaining(), (millis) =>
      Effect.map(this.readOn(lookMillis, millis, millis), () => this.depart())
    )
  }

  /** Waits for the kernel, not for the peer. */
  private linger(remaining: () => Effect.Effect<number>): Effect.Effect<void> {
    // A transform that had the port is gone by now, and with it who would have heard.
    this.port.listen(this)
    const drained = Effect.callback<void>((resume) => {
      this.leaving = resume
      this.drained()
      return Effect.sync(() => {
        this.leaving = undefined
      })
    })
    return remaining().pipe(
      Effect.flatMap((millis) => (millis > 0 ? Effect.timeoutOption(drained, millis) : Effect.succeedNone)),
      Effect.flatMap((inTime) => {
        this.leaving = undefined
        if (Option.isSome(inTime)) return this.lastLook(remaining)
        this.left = "TimedOut"
        this.port.destroy()
        return Effect.void
      })
    )
  }

  private depart(): void {
    if (this.port.failure === undefined) this.endFlushed = true
    this.left = this.tag()
    if (this.port.failure === undefined) this.port.close()
    else this.port.destroy()
  }
}
