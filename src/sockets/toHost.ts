/**
 * Connects a socket to a host. An IP is dialed as it is. A name is looked up, and its IPs are tried as RFC 8305 says:
 * IPv6 and IPv4 in turn, each 250 ms after the one before it, or at once when one has failed. The first socket that is
 * connected wins. No attempt is given up while others run, so a slow IP can still win when a fast one refuses.
 */
import * as net from "node:net"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import { DeniedByPolicy, NameNotFound, type TransportReason } from "../DialError.ts"
import { effectOf } from "../effectOf.ts"
import { monotonicNow } from "../monotonic.ts"
import type { Question } from "../Resolver.ts"
import type { DialOptions } from "../Transport.ts"
import { reachOf } from "./ip.ts"
import { system } from "./NodeResolver.ts"
import { dialReason } from "./reasons.ts"
import { ignore } from "./socketPort.ts"
import { type Connecting, opened } from "./streamSocket.ts"

/** RFC 8305's Connection Attempt Delay, in milliseconds. */
const attemptMillis = 250
/** RFC 8305's Resolution Delay, in milliseconds: how long an answer with IPv4 alone waits for IPv6. */
const resolutionMillis = 50
/** How many IPs of one name are tried. An answer can have thousands. */
const maxTried = 16

/** The options of a dial that connecting to a host needs. */
export type ToHostOptions = Pick<DialOptions, "lookingUp" | "permits" | "resolve" | "spare">

/** Opens a socket to an IP. */
export type Open = (ip: string) => net.Socket

const denied = (ips: ReadonlyArray<string>) =>
  new DeniedByPolicy({ detail: `may not dial ${ips.slice(0, maxTried).join(", ")}` })

/** The IPs that are not tried yet: in the order of the questions, the two families in turn. */
class Untried {
  private readonly waiting: Array<{ readonly ip: string; readonly question: number }> = []
  private readonly known = new Set<string>()
  private family = 0
  private tried = 0

  add(ips: ReadonlyArray<string>, question: number): void {
    for (const ip of ips) {
      if (this.known.has(ip)) continue
      this.known.add(ip)
      this.waiting.push({ ip, question })
    }
    this.waiting.sort((a, b) => a.question - b.question)
  }

  get isEmpty(): boolean {
    return this.waiting.length === 0 || this.tried >= maxTried
  }

  hasFamily(family: number): boolean {
    return this.waiting.some(({ ip }) => net.isIP(ip) === family)
  }

  next(): string | undefined {
    if (this.isEmpty) return undefined
    const other = this.waiting.findIndex(({ ip }) => net.isIP(ip) !== this.family)
    const [next] = this.waiting.splice(Math.max(0, other), 1)
    this.family = net.isIP(next?.ip ?? "")
    this.tried++
    return next?.ip
  }
}

/** Opens sockets to the IPs of one name, until one of them is connected. */
class Race {
  private readonly host: string
  private readonly options: ToHostOptions
  private readonly open: Open

  private readonly untried = new Untried()
  private questions = 0
  private readonly unanswered: Array<NameNotFound> = []
  private readonly forbidden: Array<string> = []

  private readonly sockets = new Set<net.Socket>()
  private readonly spares: Array<() => void> = []
  private readonly errors: Array<NodeJS.ErrnoException> = []
  private connecting = 0
  private winner: net.Socket | undefined
  /** When the next attempt begins, in milliseconds of the monotonic clock. */
  private due = 0

  private changes = 0
  private onChange: (() => void) | undefined

  constructor(host: string, options: ToHostOptions, open: Open) {
    this.host = host
    this.options = options
    this.open = open
  }

  // ---- the look-up ----

  private asking(questions: ReadonlyArray<Question>): Effect.Effect<never> {
    return Effect.forEach(
      questions,
      (question, i) =>
        Effect.match(question, {
          onSuccess: (ips) => this.answered(ips, i),
          onFailure: (reason) => this.notAnswered(reason)
        }),
      { concurrency: "unbounded", discard: true }
    ).pipe(Effect.andThen(Effect.never))
  }

  private answered(ips: ReadonlyArray<string>, question: number): void {
    this.questions--
    // `localhost` is this device, whatever a resolver says: the stack over the socket may rely on that.
    const isOf = (ip: string) => net.isIP(ip) !== 0 && (reachOf(this.host) !== "device" || reachOf(ip) === "device")
    const valid = ips.filter(isOf)
    const allowed = valid.filter((ip) => this.options.permits(ip))
    this.forbidden.push(...valid.filter((ip) => !allowed.includes(ip)))
    if (valid.length === 0) this.unanswered.push(new NameNotFound({ host: this.host, code: "ENODATA" }))
    this.untried.add(allowed, question)
    this.changed()
  }

  private notAnswered(reason: NameNotFound): void {
    this.questions--
    this.unanswered.push(reason)
    this.changed()
  }

  private changed(): void {
    this.changes++
    this.onChange?.()
  }

  /** Waits until `holds` is true. It is checked at every change, at once. */
  private until(holds: () => boolean): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const look = () => {
        if (holds()) resume(Effect.void)
      }
      this.onChange = look
      look()
    })
  }

  // ---- the race ----

  /** Fails when every IP has failed. The caller runs `end` afterwards, whatever the outcome. */
  readonly run: Effect.Effect<net.Socket, TransportReason> = Effect.suspend(() => {
    const mayAsk = Latch.makeUnsafe(false)
    let questions: ReadonlyArray<Question> = []
    const allAnswered = () => this.questions === 0
    const lookup = Effect.suspend(() => {
      const { resolve = system } = this.options
      questions = (reachOf(this.host) === "device" ? system : resolve)(this.host).map((question) =>
        effectOf("the resolver", question)
      )
      this.questions = questions.length
      mayAsk.openUnsafe()
      return this.until(() => allAnswered() || !this.untried.isEmpty)
    })
    // Further answers may come while the first IPs are tried.
    const asking = Effect.andThen(
      mayAsk.await,
      Effect.suspend(() => this.asking(questions))
    )
    const preferred = Effect.suspend(() => {
      const holds = () => allAnswered() || this.untried.hasFamily(6)
      return holds() ? Effect.void : Effect.timeoutOption(this.until(holds), resolutionMillis)
    })
    const trying = this.options.lookingUp(lookup).pipe(Effect.andThen(preferred), Effect.andThen(this.step))
    return Effect.raceFirst(asking, trying)
  })

  private readonly step: Effect.Effect<net.Socket, TransportReason> = Effect.flatMap(monotonicNow, (now) => {
    if (this.winner !== undefined) return Effect.succeed(this.winner)
    if (!this.untried.isEmpty && (this.connecting === 0 || now >= this.due)) {
      this.begin(now)
      return this.step
    }
    const { changes } = this
    const changed = this.until(() => this.changes !== changes)
    if (!this.untried.isEmpty) return Effect.andThen(Effect.timeoutOption(changed, this.due - now), this.step)
    return this.connecting > 0 || this.questions > 0 ? Effect.andThen(changed, this.step) : Effect.fail(this.reason())
  })

  /** Begins another attempt. If others run and there is no room for one more, that is tried again after the delay. */
  private begin(now: number): void {
    this.due = now + attemptMillis
    if (this.connecting > 0) {
      const spare = this.options.spare()
      if (spare === undefined) return
      this.spares.push(spare)
    }
    const ip = this.untried.next()
    if (ip === undefined) return
    const socket = this.open(ip)
    this.sockets.add(socket)
    this.connecting++
    const onConnect = () => {
      socket.off("error", onError).on("error", ignore)
      this.connecting--
      this.winner ??= socket
      this.changed()
    }
    const onError = (error: NodeJS.ErrnoException) => {
      socket.off("connect", onConnect)
      this.connecting--
      this.sockets.delete(socket)
      this.errors.push(error)
      // The next attempt need not wait.
      this.due = 0
      this.changed()
    }
    socket.once("connect", onConnect).on("error", onError)
  }

  /** Why all failed. Of several sockets' errors a refusal says the most; of several answers, one that may change. */
  private reason(): TransportReason {
    const error = this.errors.find(({ code }) => code === "ECONNREFUSED") ?? this.errors[0]
    if (error !== undefined) return dialReason(error, this.host)
    if (this.forbidden.length > 0) return denied(this.forbidden)
    const [first] = this.unanswered
    const retryable = this.unanswered.find(({ isRetryable }) => isRetryable)
    return retryable ?? first ?? new NameNotFound({ host: this.host, code: "ENODATA" })
  }

  /** Destroys every socket but the winner, and gives the spare places back. */
  readonly end = (exit: Exit.Exit<net.Socket, unknown>): Effect.Effect<void> =>
    Effect.sync(() => {
      for (const socket of this.sockets) {
        if (exit._tag === "Success" && exit.value === socket) continue
        socket.removeAllListeners("connect").on("error", ignore).destroy()
      }
      for (const giveBack of this.spares) giveBack()
    })
}

/** Connects a socket to a host, if policy permits one of its IPs. */
export const toHost =
  (host: string, options: ToHostOptions, open: Open): Connecting<TransportReason> =>
  (restore) =>
    Effect.suspend(() => {
      if (net.isIP(host) !== 0) {
        if (!options.permits(host)) return Effect.fail(denied([host]))
        return opened(
          () => open(host),
          (error) => dialReason(error, host)
        )(restore)
      }
      const race = new Race(host, options, open)
      return Effect.onExit(restore(race.run), race.end)
    })
