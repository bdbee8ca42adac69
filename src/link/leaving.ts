/**
 * How a stack of ports is left. There is one `Leaving` for each connection, from its transport to its user. It is the
 * only finalizer of the stack, listens to the topmost port, and knows what the connection has carried and how it went.
 *
 * ```
 * opening ── open ──> open ── its scope closes ──> leaving ──> left
 *    ^── toLink ────────┘
 *    └────────────────────── its scope closes ──────────────────────^
 * ```
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { type Address, format } from "../Address.ts"
import {
  ConnectionError,
  Defect,
  LocallyClosed,
  locallyClosed,
  type PortFailure,
  TimedOut
} from "../ConnectionError.ts"
import type { Port, PortListener } from "../Port.ts"
import type { CloseDeadlines } from "./closeDeadlines.ts"
import { type AccountTag, destroyAll, part, tagOfExit } from "./parting.ts"
import { type Patience, readOn } from "./readOn.ts"
import { both, type Tenant } from "./tenant.ts"
import type { Account, Reading, Writing } from "./user.ts"

const consumed = new LocallyClosed({ why: "consumed" })

type State = "opening" | "open" | "leaving" | "left"

/**
 * Ends a stack, and keeps account of what it has carried. One for each connection.
 *
 * @category models
 * @since 0.1.0
 */
export class Leaving implements PortListener {
  private state: State = "opening"
  private port: Port
  private reader: Reading | undefined
  private writer: Writing | undefined
  private remote: Address | undefined
  private deadlines: CloseDeadlines | undefined
  /** The scope of what wrappers of the stack acquire. It is closed when the goodbye has left. */
  private laid: Scope.Closeable | undefined
  /** Bytes that the handshakes have read and written. The account of an open connection leaves them out. */
  handshakeRead = 0
  handshakeWritten = 0
  /** Runs once, when a handshake writes for the first time. */
  onAnswer: (() => void) | undefined
  /** Why this side gave up on the connection. Its ports don't know of that. */
  private gaveUp: PortFailure | undefined
  private tag: AccountTag | undefined
  /** Whether to read on before closing, so that a peer that still sends gets no reset. */
  private outlasts = false
  private whoWaits: Array<() => void> | undefined
  /** Leaves when everything else has been released. */
  private tenant: Tenant | undefined

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
    // Nothing else destroys a port that comes too late.
    if (this.state === "left") destroyAll(port)
  }

  /** The scope for what a wrapper acquires. */
  layScope(): Scope.Scope {
    this.laid ??= Scope.makeUnsafe()
    // What is acquired too late is released at once. Closing runs no finalizer here: the scope is new, or was closed
    // when the stack was left.
    if (this.state === "left") Scope.closeUnsafe(this.laid, Exit.void)
    return this.laid
  }

  /** The stack is finished, and its user has it from now on. */
  open(remote: Address, reader: Reading, writer: Writing, deadlines?: CloseDeadlines): void {
    this.remote = remote
    // A stack that is being left, or was left, has no user any more.
    if (this.state === "leaving" || this.state === "left") {
      reader.shut(locallyClosed, { bytesRead: 0, bytesWritten: 0, tag: this.account().tag })
      writer.shut(locallyClosed)
      return
    }
    // A stack has one user: a second connection on top takes it from the first.
    if (this.state === "open") this.reopen()
    this.state = "open"
    this.reader = reader
    this.writer = writer
    this.deadlines = deadlines
    this.port.listen(this)
  }

  /** Takes the stack away from its user, for a transport that is made of a connection. */
  reopen(): void {
    // A stream with a hole in it can't go on.
    if (this.writer?.torn === true) this.destroyPorts()
    this.reader?.shut(consumed, this.account())
    this.writer?.shut(consumed)
    // A stack that is being left, or was left, stays in that state.
    if (this.state !== "open") return
    this.tellEnd()
    this.reader = undefined
    this.writer = undefined
    this.state = "opening"
  }

  /** The tenant leaves when the stack has been left, or now if that is the case already. */
  leaveWith(tenant: Tenant): void {
    if (this.state === "left") tenant.leave()
    // A connection that is the transport of another connection has two tenants.
    else this.tenant = this.tenant === undefined ? tenant : both(this.tenant, tenant)
  }

  // ---- hearing from the port ----

  readable(): void {
    this.reader?.advance()
    this.lookForEnd()
  }

  drained(): void {
    this.writer?.advance()
    this.lookForEnd()
  }

  // ---- how it goes ----

  /** Why the connection has failed. `undefined` while it has not. */
  get failure(): PortFailure | undefined {
    return this.gaveUp ?? this.port.failure
  }

  /** A failure as the connection's user gets it. */
  failing(failure: PortFailure): Effect.Effect<never, ConnectionError> {
    if (failure._tag === "Defect") return Effect.die(failure.cause)
    const remote = this.remote === undefined ? "" : format(this.remote)
    return Effect.fail(new ConnectionError({ remote, reason: failure }))
  }

  account(): Account {
    const { failure } = this
    const tag = this.tag ?? this.tagNow()
    const bytesRead = this.reader?.bytes ?? this.handshakeRead
    const bytesWritten = this.writer?.bytes ?? this.handshakeWritten
    return failure?._tag === tag ? { bytesRead, bytesWritten, tag, failure } : { bytesRead, bytesWritten, tag }
  }

  private tagNow(): AccountTag {
    // After both sides have ended, nothing that happens to the socket is a failure.
    return this.bothEnded ? "end" : (this.failure?._tag ?? "closed")
  }

  private get bothEnded(): boolean {
    return this.port.ended && (this.writer?.finished === true || (this.endsTogether && this.port.pending === 0))
  }

  /** Whether the peer's end has ended this side too. */
  private get endsTogether(): boolean {
    return !this.port.halfClose
  }

  /** Whether something that was written still waits for the peer. */
  get stalled(): boolean {
    return this.writer?.waits === true || this.port.pending > 0
  }

  /** Whether nothing can be read or written any more. */
  get isOver(): boolean {
    if (this.state === "left" || this.failure !== undefined) return true
    return this.reader?.finished === true && (this.writer?.finished === true || this.endsTogether)
  }

  /** Resumes the fibers that wait for the end, if it has come. */
  lookForEnd(): void {
    if (this.whoWaits !== undefined && this.isOver) this.tellEnd()
  }

  private tellEnd(): void {
    const waiting = this.whoWaits ?? []
    this.whoWaits = undefined
    for (const run of waiting) run()
  }

  /** Succeeds when nothing can be read or written any more, for whatever reason. */
  over(): Effect.Effect<Account> {
    return Effect.callback((resume) => {
      const run = () => resume(Effect.succeed(this.account()))
      if (this.isOver) return void run()
      this.whoWaits ??= []
      this.whoWaits.push(run)
      return Effect.sync(() => {
        this.whoWaits = this.whoWaits?.filter((other) => other !== run)
      })
    })
  }

  // ---- giving up ----

  /** Ends the connection at once, without a goodbye. */
  destroy(why: PortFailure = locallyClosed): void {
    // An earlier failure stays the reason.
    const failure = this.failure ?? why
    this.tag ??= this.bothEnded ? "end" : failure._tag
    this.destroyPorts()
    this.reader?.shut(failure)
    this.writer?.shut(failure)
    this.lookForEnd()
  }

  /** Fails the connection for a reason of this side's. What had arrived can still be read, unless code threw. */
  giveUp(why: PortFailure): void {
    this.tag ??= why._tag
    this.gaveUp ??= why
    // A codec opens nothing after it was destroyed, because its keys are gone.
    if (why._tag !== "Defect") this.reader?.hold()
    this.destroyPorts()
    this.readable()
    this.drained()
  }

  /** Fails the connection with `TimedOut`: this side has waited long enough. */
  expire(why: TimedOut["why"]): void {
    this.giveUp(new TimedOut({ why }))
  }

  /** Tells the user to finish: `pull` delivers what there is, and then fails with `LocallyClosed(draining)`. */
  drain(): void {
    this.reader?.drain()
  }

  // ---- leaving ----

  /**
   * From now on, a peer that still sends is not cut off when the scope closes. A reset would cost the peer what it has
   * yet to read.
   */
  outlast(): void {
    this.outlasts = true
  }

  /** Reads on and discards what arrives: see `readOn`. */
  readOn(patience: Patience): Effect.Effect<void> {
    return Effect.ensuring(
      readOn(this.port, patience),
      Effect.sync(() => {
        this.port.listen(this)
        this.readable()
        this.drained()
      })
    )
  }

  /** The finalizer of the stack, in its scope. */
  leave(exit: Exit.Exit<unknown, unknown>, scope: Scope.Scope): Effect.Effect<void> {
    const isFit =
      this.state === "open" && Exit.isSuccess(exit) && this.failure === undefined && this.writer?.torn === false
    if (!isFit) {
      const tag = this.tagNow()
      this.tag ??= tag === "closed" ? tagOfExit(exit) : tag
      this.destroyPorts()
    }
    this.state = "leaving"
    this.reader?.shut(locallyClosed)
    this.writer?.shut(locallyClosed)
    if (!isFit) return this.letGo(exit)
    const parted = this.part(scope)
    if (!Effect.isEffect(parted)) return this.letGo(exit, parted)
    return parted.pipe(
      Effect.catchDefect((cause) => Effect.sync(() => this.partingDefect(cause))),
      Effect.flatMap((tag) => this.letGo(exit, tag))
    )
  }

  private part(scope: Scope.Scope): AccountTag | Effect.Effect<AccountTag> {
    const { deadlines, outlasts } = this
    const remaining = Effect.map(Clock.Clock, (clock) => deadlines?.remaining(scope, clock) ?? 0)
    try {
      return part(this.port, { remaining, outlasts })
    } catch (cause) {
      return this.partingDefect(cause)
    }
  }

  /** A port or a codec threw while the stack was being left. */
  private partingDefect(cause: unknown): AccountTag {
    this.gaveUp = new Defect({ cause })
    this.destroyPorts()
    return "Defect"
  }

  private destroyPorts(): void {
    const defect = destroyAll(this.port)
    if (defect === undefined) return
    this.gaveUp = defect
    this.tag = "Defect"
  }

  /** Releases everything that the stack held, after the goodbye. */
  private letGo(exit: Exit.Exit<unknown, unknown>, tag?: AccountTag): Effect.Effect<void> {
    const { laid, tenant } = this
    this.tag = tag ?? this.tag
    this.state = "left"
    this.lookForEnd()
    // Usually nothing was acquired in it.
    const closed = laid && Scope.closeUnsafe(laid, exit)
    if (closed === undefined) {
      tenant?.leave()
      return Effect.void
    }
    return tenant === undefined
      ? closed
      : Effect.ensuring(
          closed,
          Effect.sync(() => tenant.leave())
        )
  }
}
