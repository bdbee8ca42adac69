/**
 * How a stack of ports is left: one for each connection, from its transport to its user. It is the one finalizer of the stack, hears
 * from the topmost port, and knows what the connection has carried and how it went.
 *
 * ```
 * opening ── open ──> open ── leave after success ──> leaving ──> left
 *    └────────────────────── leave after a failure, destroy ───────^
 * ```
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { type Address, format } from "../Address.ts"
import {
  ConnectionError,
  type ConnectionReason,
  Defect,
  locallyClosed,
  type PortFailure,
  TimedOut
} from "../ConnectionError.ts"
import type { Port, PortListener } from "../Port.ts"
import type { CloseDeadlines } from "./closeDeadlines.ts"

/** How a connection went; final when its scope is closed. */
export interface Account {
  readonly bytesRead: number
  readonly bytesWritten: number
  /**
   * `end`: both sides said goodbye. `closed`: this side did. Otherwise the tag of the reason for which it failed; `Defect` when it was
   * a fault in the code of a protocol.
   */
  readonly tag: "end" | "closed" | ConnectionReason["_tag"] | "Defect"
}

/** What one direction of an open connection owes to the one who leaves it. */
interface Direction {
  /** Bytes that its user has read, or has written. */
  readonly bytes: number
  /** Nothing of this direction is still to come. */
  readonly finished: boolean
  /** Looks at the port, and serves whoever waits for it. */
  readonly advance: () => void
  /** From now on everything that is asked fails so, and so does everything that waits. */
  readonly shut: (failure: PortFailure) => void
}

interface Reading extends Direction {
  readonly drain: () => void
}

interface Writing extends Direction {
  /** A part of a write was accepted, and the rest was not. */
  readonly torn: boolean
  /** Writes wait for the port. */
  readonly waits: boolean
}

/** How often it is looked whether a peer that was said goodbye to still sends, in milliseconds. */
const lookMillis = 20

type State = "opening" | "open" | "leaving" | "left"

export class Leaving implements PortListener {
  private state: State = "opening"
  private port: Port
  private reader: Reading | undefined
  private writer: Writing | undefined
  private remote: Address | undefined
  private deadlines: CloseDeadlines | undefined
  /** What wrappers of the stack have acquired: it is let go of when the goodbye has left. */
  private laid: Scope.Closeable | undefined
  /** What the handshakes have carried. It is no part of what the user of an open connection has. */
  handshakeRead = 0
  handshakeWritten = 0
  /** Why this side has given up on the connection, which its ports don't know. */
  private gaveUp: PortFailure | undefined
  private tag: Account["tag"] | undefined
  /** Reads on for nobody: whether something has arrived since it was last looked. `undefined` while it does not. */
  private discarded: boolean | undefined
  /** Whether the socket is not cut off from a peer that still sends. */
  private outlasts = false
  private onPending: (() => void) | undefined
  private whoWaits: Array<() => void> | undefined
  /** Runs when everything is let go of. */
  private onLeft: (() => void) | undefined

  constructor(port: Port) {
    this.port = port
  }

  // ---- building the stack ----

  /** The topmost port of the stack. */
  get top(): Port {
    return this.port
  }

  /** Another port stands on top now. */
  raise(port: Port): void {
    this.port = port
  }

  /** The scope for what a wrapper acquires. */
  layScope(): Scope.Scope {
    this.laid ??= Scope.makeUnsafe()
    return this.laid
  }

  /** The stack is finished, and its user has it from now on. */
  open(remote: Address, reader: Reading, writer: Writing, deadlines?: CloseDeadlines): void {
    this.state = "open"
    this.remote = remote
    this.reader = reader
    this.writer = writer
    this.deadlines = deadlines
    // Mostly nothing was acquired in it.
    if (this.laid?.state._tag === "Empty") this.laid = undefined
    this.port.listen(this)
  }

  /** Takes the stack away from its user, for a transport that is made of a connection. */
  reopen(failure: PortFailure): void {
    this.reader?.shut(failure)
    this.writer?.shut(failure)
    this.reader = undefined
    this.writer = undefined
    this.state = "opening"
  }

  /** Runs this when it has left, or now when it has already. */
  whenLeft(run: () => void): void {
    if (this.state === "left") run()
    else this.onLeft = run
  }

  // ---- hearing from the port ----

  readable(): void {
    if (this.discarded === undefined) this.reader?.advance()
    else this.discard()
    this.lookForEnd()
  }

  drained(): void {
    this.writer?.advance()
    this.onPending?.()
    this.lookForEnd()
  }

  // ---- how it goes ----

  /** Why nothing goes any more. */
  get failure(): PortFailure | undefined {
    return this.gaveUp ?? this.port.failure
  }

  /** A failure as its user gets it. */
  failing(failure: PortFailure): Effect.Effect<never, ConnectionError> {
    if (failure._tag === "Defect") return Effect.die(failure.cause)
    const remote = this.remote === undefined ? "" : format(this.remote)
    return Effect.fail(new ConnectionError({ remote, reason: failure }))
  }

  account(): Account {
    return {
      bytesRead: this.reader?.bytes ?? this.handshakeRead,
      bytesWritten: this.writer?.bytes ?? this.handshakeWritten,
      tag: this.tag ?? this.tagNow()
    }
  }

  private tagNow(): Account["tag"] {
    // When both have said that all was said, what becomes of the socket afterwards is no failure.
    return this.bothEnded ? "end" : (this.failure?._tag ?? "closed")
  }

  private get bothEnded(): boolean {
    return this.port.ended && this.writer?.finished === true
  }

  /** Whether the peer has not taken what was written. */
  get stalled(): boolean {
    return this.writer?.waits === true || this.port.pending > 0
  }

  /** Whether nothing can be read or written any more. */
  private get isOver(): boolean {
    return this.state === "left" || this.failure !== undefined || (this.bothEnded && this.reader?.finished === true)
  }

  /** Tells those who wait for the end, when it is there. */
  lookForEnd(): void {
    if (this.whoWaits === undefined || !this.isOver) return
    const waiting = this.whoWaits
    this.whoWaits = undefined
    for (const run of waiting) run()
  }

  private readonly whenOver = (run: () => void): Effect.Effect<void> => {
    this.whoWaits ??= []
    this.whoWaits.push(run)
    return Effect.sync(() => {
      this.whoWaits = this.whoWaits?.filter((other) => other !== run)
    })
  }

  /** Succeeds when nothing can be read or written any more, however that came. */
  get over(): Effect.Effect<Account> {
    return Effect.callback((resume) => {
      if (this.isOver) return void resume(Effect.succeed(this.account()))
      return this.whenOver(() => resume(Effect.succeed(this.account())))
    })
  }

  // ---- giving up ----

  /** Ends it at once, without a goodbye. */
  destroy(why: PortFailure = locallyClosed): void {
    this.destroyPort()
    this.tag ??= this.bothEnded ? "end" : why._tag
    this.reader?.shut(why)
    this.writer?.shut(why)
    this.lookForEnd()
  }

  /** Breaks it for a reason of this side's: what had arrived can still be read. */
  giveUp(why: PortFailure): void {
    this.tag ??= why._tag
    this.gaveUp ??= why
    this.destroyPort()
    this.readable()
    this.drained()
  }

  /** Breaks it with `TimedOut`: this side has waited long enough. */
  expire(): void {
    this.giveUp(new TimedOut())
  }

  /** Breaks it with what somebody's code has thrown. */
  defect(cause: unknown): void {
    this.giveUp(new Defect({ cause }))
  }

  /** Tells its user to finish: `pull` delivers what there is, and then fails with `LocallyClosed(draining)`. */
  drain(): void {
    this.reader?.drain()
  }

  // ---- reading on for nobody ----

  /** From now on a peer that still sends is not cut off when the scope closes: that would take with it what it has yet to read. */
  outlast(): void {
    this.outlasts = true
  }

  private discard(): void {
    this.attempt(() => {
      while (this.port.take() !== undefined) this.discarded = true
    })
  }

  /**
   * Reads on for nobody until the peer has ended or is silent. In milliseconds: how long to wait for the first that arrives and for more
   * after it, and for how long altogether.
   */
  readOn(first: number, more: number, altogether: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.discard()
      const { discarded, port } = this
      this.discarded = false
      if (port.ended || port.failure !== undefined || altogether <= 0 || (!discarded && first <= 0)) return Effect.void
      const silence = discarded ? more : first - lookMillis
      return Effect.andThen(Effect.sleep(lookMillis), this.readOn(silence, more, altogether - lookMillis))
    })
  }

  // ---- leaving ----

  /** The finalizer of the stack, in its scope. */
  leave(exit: Exit.Exit<unknown, unknown>, scope: Scope.Scope): Effect.Effect<void> {
    const isFit =
      this.state === "open" && Exit.isSuccess(exit) && this.failure === undefined && this.writer?.torn === false
    if (!isFit) {
      const tag = this.tagNow()
      this.tag ??= tag === "closed" ? "LocallyClosed" : tag
      this.destroyPort()
    }
    this.state = "leaving"
    this.reader?.shut(locallyClosed)
    this.writer?.shut(locallyClosed)
    const parted = isFit ? this.part(this.port, scope) : undefined
    if (parted === undefined) return this.letGo(exit)
    return Effect.andThen(
      parted,
      Effect.suspend(() => this.letGo(exit))
    )
  }

  /**
   * Ends, drains and closes one port after another, the upper before the one that it stands on. `undefined` when that is done: mostly
   * the kernel takes at once what is left, and nothing has to be waited for.
   */
  private part(top: Port | undefined, scope: Scope.Scope): Effect.Effect<void> | undefined {
    for (let port = top; port !== undefined; port = port.below) {
      const layer = port
      if (!this.attempt(() => layer.end())) return undefined
      if (layer.pending > 0 || this.readsOn(layer)) return this.partWaiting(layer, scope)
      if (!this.closeLayer(layer)) return undefined
    }
    return undefined
  }

  private partWaiting(port: Port, scope: Scope.Scope): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const clock = yield* Clock.Clock
      const remaining = () => this.deadlines?.remaining(scope, clock) ?? 0
      if (port.pending > 0 && !(yield* this.drainedWithin(port, remaining()))) {
        this.tag = "TimedOut"
        return this.destroyPort()
      }
      if (this.readsOn(port)) {
        const millis = remaining()
        yield* this.readOn(lookMillis, millis, millis)
      }
      if (this.closeLayer(port)) yield* this.part(port.below, scope) ?? Effect.void
    })
  }

  /** A socket that is closed over unread bytes takes with it what the peer has yet to read. */
  private readsOn(port: Port): boolean {
    return this.outlasts && port === this.port && port.resets === true && !port.ended && port.failure === undefined
  }

  /** Waits for the kernel, not for the peer. Answers whether it got everything in time. */
  private drainedWithin(port: Port, millis: number): Effect.Effect<boolean> {
    if (millis <= 0) return Effect.succeed(false)
    const drained = Effect.callback<void>((resume) => {
      this.onPending = () => {
        if (port.pending === 0 || port.failure !== undefined) resume(Effect.void)
      }
      // Whoever heard from a lower port may be gone by now.
      if (port !== this.port) port.listen(this)
      this.onPending()
    })
    return Effect.timeoutOption(drained, millis).pipe(
      Effect.map(Option.isSome),
      Effect.ensuring(
        Effect.sync(() => {
          this.onPending = undefined
        })
      )
    )
  }

  /** Lets go of one port that is drained. Answers whether the one below is to follow. */
  private closeLayer(port: Port): boolean {
    const { failure } = port
    if (port === this.port) this.tag = failure === undefined ? (port.ended ? "end" : "closed") : this.tagNow()
    if (failure === undefined) return this.attempt(() => port.close())
    this.destroyPort()
    return false
  }

  /** Everything that the stack held goes, after the goodbye. */
  private letGo(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    const { laid, onLeft } = this
    this.state = "left"
    this.lookForEnd()
    if (laid === undefined) {
      onLeft?.()
      return Effect.void
    }
    this.laid = undefined
    const closed = Scope.close(laid, exit)
    return onLeft === undefined ? closed : Effect.ensuring(closed, Effect.sync(onLeft))
  }

  // ---- what a port may do to us ----

  /** Runs the code of a port or a codec. What it throws breaks this connection, and reaches nobody else. */
  private attempt(run: () => void): boolean {
    try {
      run()
    } catch (cause) {
      this.gaveUp = new Defect({ cause })
      this.tag = "Defect"
      this.destroyPort()
    }
    return this.gaveUp === undefined
  }

  private destroyPort(): void {
    try {
      this.port.destroy()
    } catch (cause) {
      this.gaveUp = new Defect({ cause })
      this.tag = "Defect"
    }
  }
}
