/** The parent process: starts the workers, starts those again that end, and stops all of them together. */
import cluster from "node:cluster"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { encodeBase64 } from "../crypto/base64.ts"
import { Events, type Sink } from "../Events.ts"
import { emitTo, guardedEffect } from "../guarded.ts"
import { Identity } from "../Identity.ts"
import { Limits } from "../Limits.ts"
import { monotonicNow } from "../monotonic.ts"
import { BadCount, NothingListens, NotStarted, OtherAddresses, SocketsInherited, WorkersError } from "./errors.ts"
import { type Ended, fork, setup } from "./forked.ts"
import { eventsUnderWay, type Failure, live, type Outcome } from "./life.ts"
import * as Parts from "./limits.ts"
import type { Init, Places } from "./messages.ts"

/** How long the first restart of a worker waits, and the longest that any waits. In between, the time doubles. */
const firstWait = 100
const longestWait = 30_000
/** A worker that has listened for so long has not failed at its start. */
const settled = 30_000

const most = 1024

const failed = (reason: WorkersError["reason"]) => Effect.fail(new WorkersError({ reason }))

/** Whether several processes can listen on one port here, and the system spreads the connections. Tested on Linux. */
const hasReusePort = (): boolean => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  const isLate = major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12)
  return process.platform === "linux" && process.versions.bun === undefined && isLate
}

export interface Settings {
  readonly workers: number
  readonly sharing: Init["sharing"] | undefined
  readonly onListening: (listeners: ReadonlyArray<Places>) => Effect.Effect<void>
  readonly said: (said: unknown, worker: number) => Effect.Effect<void>
}

const endedBy = ({ code, signal }: Ended): string => {
  if (signal !== null) return `its process was ended by ${signal}`
  return code === null ? "its process could not be started" : `its process has ended with exit code ${code}`
}

/** What all workers of one program share. */
class Team {
  private readonly settings: Settings
  private readonly secret: string | null
  private readonly sinks: ReadonlyArray<Sink>
  private readonly emit: Sink
  private readonly ports: Record<string, number> = {}
  private before = 0
  private missing: number
  private expected: ReadonlyArray<Places> | undefined
  readonly first = Deferred.makeUnsafe<void>()
  /** Where they listen, once all of them do. */
  readonly listening = Deferred.makeUnsafe<ReadonlyArray<Places>>()

  constructor(settings: Settings, secret: string | null, sinks: ReadonlyArray<Sink>, emit: Sink) {
    this.settings = settings
    this.secret = secret
    this.sinks = sinks
    this.emit = emit
    this.missing = settings.workers
  }

  /** A worker listens, for the first time or again. */
  private ready(worker: number, listeners: ReadonlyArray<Places>, isFirst: boolean): Effect.Effect<void, WorkersError> {
    return Effect.suspend(() => {
      if (listeners.length === 0) return failed(new NothingListens())
      const alike = (all: ReadonlyArray<Places>) => all.flatMap((each) => each.alike)
      this.expected ??= listeners
      const expected = alike(this.expected)
      const addresses = alike(listeners)
      if (addresses.join() !== expected.join()) return failed(new OtherAddresses({ worker, addresses, expected }))
      Deferred.doneUnsafe(this.first, Effect.void)
      if (isFirst && --this.missing === 0) Deferred.doneUnsafe(this.listening, Effect.succeed(this.expected))
      return Effect.void
    })
  }

  /** One life of a worker. */
  live(index: number, isFirst: boolean): Effect.Effect<Outcome> {
    return Effect.suspend(() => {
      const { ports, secret, settings } = this
      const worker = index + 1
      const init: Init = {
        _tag: "Init",
        index,
        workers: settings.workers,
        before: this.before++,
        sharing: settings.sharing ?? (hasReusePort() ? "reusePort" : "cluster"),
        ports,
        secret,
        events: this.sinks.length === 0 ? 0 : eventsUnderWay
      }
      return live(fork, {
        worker,
        init,
        emit: this.emit,
        said: (said) => settings.said(said, worker),
        bound: (place, port) => {
          ports[place] = port
        },
        ready: (listeners) => this.ready(worker, listeners, isFirst)
      })
    })
  }

  /** A worker has ended by itself. */
  exited(worker: number, pid: number, outcome: Outcome, restartMillis: number) {
    const { broken, code, detail, signal } = outcome
    const event = { _tag: "WorkerExited", worker, pid, code, signal, open: broken.length, restartMillis } as const
    const why = detail || endedBy(outcome)
    const log = this.sinks.length > 0 && detail === "" ? Effect.void : Effect.logError(`worker ${worker}: ${why}`)
    return Effect.forEach([event, ...broken], (each) => this.emit(each), { discard: true }).pipe(Effect.andThen(log))
  }
}

/** Keeps one worker alive. It fails if its first process does not start, or if a later one listens elsewhere. */
const kept = (team: Team, index: number): Effect.Effect<never, Failure> =>
  Effect.gen(function* () {
    const worker = index + 1
    if (index > 0) yield* Deferred.await(team.first)
    let crashes = 0
    for (let isFirst = true; ; isFirst = false) {
      const outcome = yield* team.live(index, isFirst)
      const { detail, failure, fatal, pid, readyAt } = outcome
      if (fatal !== undefined) return yield* fatal
      if (isFirst && readyAt === undefined) {
        if (failure !== undefined) return yield* failure
        return yield* failed(new NotStarted({ worker, detail: detail || endedBy(outcome) }))
      }
      const now = yield* monotonicNow
      crashes = readyAt !== undefined && now - readyAt > settled ? 0 : crashes + 1
      const wait = Math.min(firstWait * 2 ** Math.max(0, crashes - 1), longestWait)
      yield* team.exited(worker, pid, outcome, wait)
      yield* Effect.sleep(wait)
    }
  })

/** Runs the workers until it is interrupted. Then all of them stop, and it ends when the last one has. */
export const run = (settings: Settings): Effect.Effect<never, Failure> =>
  Effect.gen(function* () {
    const { workers } = settings
    if (!Number.isInteger(workers) || workers < 1 || workers > most)
      return yield* failed(new BadCount({ count: workers }))
    const { LISTEN_FDS, LISTEN_PID } = process.env
    if (LISTEN_FDS !== undefined && LISTEN_PID === String(process.pid)) return yield* failed(new SocketsInherited())
    if (!cluster.isPrimary) {
      const detail = "this process is itself a worker, of node:cluster, and can't have workers of its own"
      return yield* failed(new NotStarted({ worker: 1, detail }))
    }
    const limits = yield* Limits
    yield* Effect.mapError(Effect.fromResult(Parts.part(limits, 0, workers)), (reason) => new WorkersError({ reason }))
    const identity = Option.getOrUndefined(yield* Effect.serviceOption(Identity))
    const secret = identity === undefined ? null : encodeBase64(Redacted.value(identity.secretKey))
    const sinks = yield* Events
    const team = new Team(settings, secret, sinks, emitTo(sinks, limits.close))
    yield* setup
    const all = Array.from({ length: workers }, (_, index) => kept(team, index))
    // Runs beside the workers, because the program's `onListening` may take as long as it likes.
    const told = Effect.flatMap(Deferred.await(team.listening), guardedEffect("onListening", settings.onListening))
    yield* Effect.all([...all, told], { concurrency: "unbounded", discard: true })
    return yield* Effect.never
  })
