/**
 * The processes of a hostile test: the server under attack, the attackers, and somebody honest who wants to be served
 * meanwhile.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { readsTypes } from "../support/nodes.ts"
import type { Checks } from "./checks.ts"
import { fresh, type Lend } from "./shelf.ts"

/** Where a promise is tried that does not depend on the transport. */
export const stacks = ["net~shs", "net~noise", "net~noisepq"] as const
/** And where one that does is tried besides. */
export const webSockets = ["ws~shs", "wss~noise"] as const
/** Of the transports, those that can be reached from outside. */
export const transports = ["net", "ws", "wss"] as const

export type StackName =
  | `${(typeof transports)[number]}~${"shs" | "noise" | "noisepq"}`
  /** Nothing over it. */
  | "ws"
  | "wss"

/** The transport of a stack, and what is over it. */
export const partsOf = (stack: StackName): { readonly transport: string; readonly over: string } => {
  const [transport = "", ...over] = stack.split("~")
  return { transport, over: over.join("~") }
}

/** A place on this machine, or one of a server's, as an address of a stack. */
export const addressOf = (stack: StackName, place: string, publicKey: string): string => {
  const { over, transport } = partsOf(stack)
  const at = transport === "net" ? `net:${place}` : `${transport}://${place}`
  return over === "" ? at : `${at}~${over}:${publicKey}`
}

/** `quick`: every kind of attack, a few times. `full`: as many as the promises say. */
export type Size = "quick" | "full"

// -----------------------------------------------------------------------------
// processes
// -----------------------------------------------------------------------------

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url))

/**
 * Ours run as they are, on a Node that runs TypeScript: this one, or the one that the project brings. A run that starts
 * many has bundled them, because most of their start is loading modules.
 */
const ours = (name: "target" | "dialer"): readonly [node: string, program: string] => {
  const bundles = process.env.HOSTILE_PROGRAMS
  if (bundles !== undefined) return [process.execPath, path.join(bundles, `${name}.mjs`)]
  return [readsTypes, file(name === "target" ? "../target.ts" : "dialer.ts")]
}

const Ended = Schema.Struct({ code: Schema.NullOr(Schema.Int), signal: Schema.NullOr(Schema.String) })
type Ended = typeof Ended.Type

interface Process {
  readonly child: ChildProcess
  /** The next line of its stdout. */
  readonly line: Effect.Effect<unknown>
  readonly ended: Effect.Effect<Ended>
  readonly isAlive: () => boolean
}

/** What wss listens and dials with. */
const tlsFolder = file("../fixtures/tls")

/** A process as long as the scope, spoken to in JSON lines. When it dies, who waits for a line of it does. */
const start = (command: string, args: ReadonlyArray<string>, env: Record<string, string> = {}) =>
  Effect.gen(function* () {
    const lines = yield* Queue.unbounded<unknown>()
    const ends = yield* Queue.unbounded<Ended>()
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(command, args, { stdio: ["pipe", "pipe", "pipe", "ipc"], env: { ...process.env, ...env } })
      ),
      (child) =>
        Effect.callback<void>((resume) => {
          if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
          child.once("exit", () => resume(Effect.void))
          child.kill("SIGKILL")
        })
    )
    let stderr = ""
    child.stderr?.on("data", (text) => {
      stderr += text
    })
    child.stdin?.on("error", () => {})
    child.on("error", () => {})
    if (child.stdout !== null) {
      // What is no line of JSON is a log.
      createInterface({ input: child.stdout }).on("line", (line) => {
        if (line.startsWith("{")) Queue.offerUnsafe(lines, JSON.parse(line))
      })
    }
    child.once("close", (code, signal) => {
      Queue.offerUnsafe(ends, { code, signal })
      Queue.failCauseUnsafe(lines, Cause.die(new Error(`${args[0]} ended: ${code ?? signal}\n${stderr}`)))
    })
    return {
      child,
      line: Queue.take(lines),
      ended: Effect.tap(Queue.take(ends), (end) => Queue.offer(ends, end)),
      isAlive: () => child.exitCode === null && child.signalCode === null
    } satisfies Process
  })

/** Which processes attack, which are attacked, and which are honest meanwhile. By default new ones each time. */
export const Attackers = Context.Reference<Lend<Attacker>>("hostile/Attackers", { defaultValue: fresh })
export const Targets = Context.Reference<Lend<Target>>("hostile/Targets", { defaultValue: fresh })
export const Bystanders = Context.Reference<Lend<Bystander>>("hostile/Bystanders", { defaultValue: fresh })

const decoded = <A, I>(line: Effect.Effect<unknown>, schema: Schema.Codec<A, I>): Effect.Effect<A> =>
  Effect.orDie(Effect.flatMap(line, Schema.decodeUnknownEffect(schema)))

// -----------------------------------------------------------------------------
// what a process of ours counts of itself
// -----------------------------------------------------------------------------

const Tally = Schema.Record(Schema.String, Schema.Int)

const Counts = Schema.Struct({
  fds: Schema.Int,
  sockets: Schema.Int,
  timers: Schema.Int,
  fibers: Schema.Int,
  rss: Schema.Int,
  heap: Schema.Int,
  buffers: Schema.Int,
  refused: Schema.optionalKey(Tally),
  peers: Schema.optionalKey(Tally)
})
export type Counts = typeof Counts.Type

/** Memory counts only when it is `collected` before. */
const countsOf = ({ child }: Process, order: { readonly collected?: true } = {}): Effect.Effect<Counts> =>
  decoded(
    Effect.callback<unknown>((resume) => {
      child.once("message", (message) => resume(Effect.succeed(message)))
      child.send(order)
    }),
    Counts
  )

/** What must be as before when all is over. */
const left = ({ fds, fibers, sockets }: Counts) => JSON.stringify({ fds, sockets, fibers })

/** Looks until it is enough, for two minutes at most: what has to come comes late on a busy machine. */
const looked = <A>(look: Effect.Effect<A>, enough: (seen: A) => boolean): Effect.Effect<A> =>
  Effect.gen(function* () {
    let seen = yield* look
    for (let tries = 0; tries < 1200 && !enough(seen); tries++) {
      yield* Effect.sleep("100 millis")
      seen = yield* look
    }
    return seen
  })

/** The same where it can be seen at once. */
export const eventually = <A>(look: () => A, enough: (seen: A) => boolean): Effect.Effect<A> =>
  looked(Effect.sync(look), enough)

/** Looks until there are so many, or until for half a minute there were no more of them. */
const untilStill = (look: Effect.Effect<number>, enough: number): Effect.Effect<number> =>
  Effect.suspend(() => {
    let most = -1
    let still = 0
    return looked(look, (now) => {
      still = now > most ? 0 : still + 1
      most = Math.max(most, now)
      return now >= enough || still >= 300
    })
  })

/** What there is once nothing changes any more, for three looks of a tenth of a second or for more of them. */
export const settled = (counts: Effect.Effect<Counts>, looks = 3): Effect.Effect<Counts> =>
  Effect.suspend(() => {
    let last: Counts | undefined
    let same = 0
    return looked(counts, (now) => {
      same = last !== undefined && left(now) === left(last) ? same + 1 : 0
      last = now
      return same >= looks
    })
  })

/** What there is once nothing is left of what there was to do. */
export const sameAs = (
  before: Counts,
  counts: Effect.Effect<Counts>,
  checks: Checks,
  whose: string
): Effect.Effect<Counts> =>
  Effect.gen(function* () {
    yield* looked(counts, (now) => left(now) === left(before))
    const now = yield* settled(counts)
    checks.holds(left(now) === left(before), `${whose} is left with ${left(now)}, and began with ${left(before)}`)
    // One timer for all handshakes may be set, in which case it runs to the deadline of one that is long done.
    checks.holds(now.timers <= before.timers + 1, `${whose} is left with ${now.timers} timers, not ${before.timers}`)
    return now
  })

// -----------------------------------------------------------------------------
// the server
// -----------------------------------------------------------------------------

const Greeting = Schema.Struct({
  host: Schema.String,
  port: Schema.Int,
  publicKey: Schema.String,
  appKey: Schema.String,
  pid: Schema.Int
})

const EndEvent = Schema.fromJsonString(
  Schema.Struct({ event: Schema.Literals(["Closed", "HandshakeFailed"]), tag: Schema.String })
)

/** How many connections ended how: by tag, a failed handshake's with `handshake ` before it. */
export type Tags = Readonly<Record<string, number>>

export const sum = (tags: Tags): number => Object.values(tags).reduce((total, count) => total + count, 0)

export const minus = (tags: Tags, others: Tags): Tags => {
  const rest = Object.entries(tags).map(([tag, count]) => [tag, count - (others[tag] ?? 0)] as const)
  return Object.fromEntries(rest.filter(([, count]) => count !== 0))
}

export interface Target {
  /** What attackers are told. */
  readonly address: typeof Greeting.Type & { readonly stack: string }
  readonly counts: Effect.Effect<Counts>
  /** The same with its memory, after collections. */
  readonly memory: Effect.Effect<Counts>
  readonly tags: () => Tags
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  readonly ended: Effect.Effect<Ended>
  readonly isAlive: () => boolean
}

export interface TargetOptions {
  /** What `MULTISERVER_...` says of limits; none in the full size but where the attack is about one. */
  readonly env?: Record<string, string>
  /** How many file descriptors it may have. */
  readonly fds?: number
}

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "hostile-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

/** `test/target.ts`, on a stack. */
export const startTarget = (stack: string, options: TargetOptions = {}): Effect.Effect<Target, never, Scope.Scope> =>
  Effect.gen(function* () {
    const events = path.join(yield* temporary, "events")
    fs.writeFileSync(events, "")
    const [node, program] = ours("target")
    const args = ["--expose-gc", program]
    const env = { EVENTS: events, STACK: stack, TLS: tlsFolder, ...options.env }
    const running = yield* options.fds === undefined
      ? start(node, args, env)
      : start("/bin/sh", ["-c", `ulimit -n ${options.fds}; exec "$0" "$@"`, node, ...args], env)
    const greeting = yield* decoded(running.line, Greeting)
    return {
      address: { ...greeting, stack },
      counts: Effect.suspend(() => countsOf(running)),
      memory: Effect.suspend(() => countsOf(running, { collected: true })),
      tags: () => {
        const tags: Record<string, number> = {}
        for (const line of fs.readFileSync(events, "utf8").split("\n").slice(0, -1)) {
          const { event, tag } = Schema.decodeUnknownSync(EndEvent)(line)
          const name = event === "Closed" ? tag : `handshake ${tag}`
          tags[name] = (tags[name] ?? 0) + 1
        }
        return tags
      },
      kill: (signal) => Effect.sync(() => void running.child.kill(signal)),
      ended: running.ended,
      isAlive: running.isAlive
    }
  })

/** The same target, which counts from now on. */
const sinceNow = (target: Target): Effect.Effect<Target> =>
  Effect.map(target.counts, ({ refused: then = {} }) => {
    const ended = target.tags()
    const since = (counts: Counts): Counts => ({ ...counts, refused: minus(counts.refused ?? {}, then) })
    return {
      ...target,
      counts: Effect.map(target.counts, since),
      memory: Effect.map(target.memory, since),
      tags: () => minus(target.tags(), ended)
    }
  })

// -----------------------------------------------------------------------------
// attackers
// -----------------------------------------------------------------------------

export interface Child<A> {
  /** The next thing that it says. */
  readonly says: Effect.Effect<Readonly<Record<string, unknown>>>
  readonly tell: (order: object) => Effect.Effect<void>
  /** Asks it to end. */
  readonly stop: Effect.Effect<void>
  readonly result: Effect.Effect<A>
}

const Said = Schema.Record(Schema.String, Schema.Unknown)

/** `attack.mjs`, which makes one attack after the other. */
interface Attacker {
  readonly line: Effect.Effect<unknown>
  readonly tell: (order: object) => void
  readonly kill: Effect.Effect<void>
}

const startAttacker: Effect.Effect<Attacker, never, Scope.Scope> = Effect.map(
  Effect.suspend(() => start(process.execPath, [file("attack.mjs")])),
  ({ child, line }) => ({
    line,
    tell: (order) => void child.stdin?.write(`${JSON.stringify(order)}\n`),
    kill: Effect.sync(() => void child.kill("SIGKILL"))
  })
)

/** `attackers/NAME.mjs`, and what it says of itself in the end. */
export const attacker = <A, I>(name: string, order: object, result: Schema.Codec<A, I>) =>
  Effect.gen(function* () {
    const { giveBack, value } = yield* (yield* Attackers)("", startAttacker)
    let isOver = false
    yield* Effect.addFinalizer(() => (isOver ? Effect.void : value.kill))
    value.tell({ attack: name, order })
    const over = Effect.andThen(
      Effect.sync(() => {
        isOver = true
      }),
      giveBack
    )
    const self: Child<A> = {
      says: decoded(value.line, Said),
      tell: (order) => Effect.sync(() => value.tell({ tell: order })),
      stop: Effect.sync(() => value.tell({ stop: true })),
      result: Effect.tap(
        Effect.map(decoded(value.line, Schema.Struct({ result })), ({ result }) => result),
        () => over
      )
    }
    return self
  })

// -----------------------------------------------------------------------------
// somebody honest
// -----------------------------------------------------------------------------

const Served = Schema.Struct({
  exchanges: Schema.Int,
  failures: Schema.Array(Schema.String),
  p50: Schema.Int,
  p99: Schema.Int,
  max: Schema.Int
})
export type Served = typeof Served.Type

const HonestSaid = Schema.Union([Schema.Struct({ exchanged: Schema.Int }), Schema.Struct({ result: Served })])

export interface Honest {
  /** Goes on after its first exchange. Succeeds when it was served again. */
  readonly goOn: Effect.Effect<unknown>
  /** Succeeds when one more of its exchanges is over. */
  readonly exchange: Effect.Effect<unknown>
  readonly stop: Effect.Effect<Served>
}

/** A process that visits one target after the other. */
interface Bystander {
  readonly line: Effect.Effect<unknown>
  readonly tell: (order: object) => void
}

const startBystander: Effect.Effect<Bystander, never, Scope.Scope> = Effect.map(
  Effect.suspend(() => start(process.execPath, [file("honest.mjs")])),
  ({ child, line }) => ({ line, tell: (order) => void child.stdin?.write(`${JSON.stringify(order)}\n`) })
)

/**
 * Makes one exchange, and more when it is told to go on: one after the other with a pause between them, until it is
 * stopped. Gives it once it was served for the first time.
 */
const visit = (
  { line, tell }: Bystander,
  target: Target,
  order: { readonly every: number; readonly patience: number; readonly delay?: number | undefined }
) =>
  Effect.gen(function* () {
    const exchanges = yield* Queue.sliding<number>(1)
    const served = yield* Deferred.make<Served>()
    tell({ target: target.address, ...order })
    yield* decoded(line, HonestSaid).pipe(
      Effect.flatMap((said) =>
        "result" in said ? Deferred.succeed(served, said.result) : Queue.offer(exchanges, said.exchanged)
      ),
      Effect.repeat({ while: () => !Deferred.isDoneUnsafe(served) }),
      // It has ended: who waits for its result, and has not got it, dies with it.
      Effect.catchCause((cause) => Deferred.failCause(served, cause)),
      Effect.forkScoped
    )
    const next = Effect.raceFirst(Queue.take(exchanges), Deferred.await(served))
    yield* next
    const exchange = Effect.andThen(Queue.clear(exchanges), next)
    const honest: Honest = {
      goOn: Effect.andThen(
        Effect.sync(() => tell({ goOn: true })),
        exchange
      ),
      exchange,
      stop: Effect.andThen(
        Effect.sync(() => tell({ stop: true })),
        Deferred.await(served)
      )
    }
    return honest
  })

// -----------------------------------------------------------------------------
// our client
// -----------------------------------------------------------------------------

const Answered = Schema.Struct({ id: Schema.Int, tags: Tally })

export interface DialOrder {
  readonly address: string
  readonly times: number
  readonly interrupt?: boolean
  /** No deadline decides how a dial ends. */
  readonly patient?: boolean
}

/** `dialer.ts`: our client, for servers that attack it. */
export const startDialer = (appKey: string, env: Record<string, string> = {}) =>
  Effect.gen(function* () {
    const [node, program] = ours("dialer")
    const running = yield* start(node, ["--expose-gc", program], { APPKEY: appKey, TLS: tlsFolder, ...env })
    yield* decoded(running.line, Said)
    return {
      counts: Effect.suspend(() => countsOf(running)),
      isAlive: running.isAlive,
      /** How the exchanges of each order ended, all orders at once. */
      dial: (orders: ReadonlyArray<DialOrder>): Effect.Effect<ReadonlyArray<Tags>> =>
        Effect.gen(function* () {
          orders.forEach((order, id) => running.child.stdin?.write(`${JSON.stringify({ id, ...order })}\n`))
          const answers = new Map<number, Tags>()
          while (answers.size < orders.length) {
            const { id, tags } = yield* decoded(running.line, Answered)
            answers.set(id, tags)
          }
          return orders.map((_, id) => answers.get(id) ?? {})
        })
    }
  })

// -----------------------------------------------------------------------------
// sieges
// -----------------------------------------------------------------------------

/** What an attack tells: how many connections it made that the server accepted. */
interface Attacked {
  readonly connections: number
}

export interface Siege<A> {
  readonly attacked: A
  readonly served: Served
  /** How the attackers' connections ended, by the server's account. */
  readonly tags: Tags
  /** Those that it turned away. */
  readonly refused: Tags
  readonly before: Counts
  readonly after: Counts
}

export interface SiegeOptions extends TargetOptions {
  readonly size: Size
  /** Milliseconds between the exchanges of who is honest: by default 25, and in the quick size 250. */
  readonly every?: number
  /** How many milliseconds who is honest is away. */
  readonly delay?: number
  /** How many in a hundred of the honest exchanges may fail. */
  readonly mayFail?: number
}

/** In the quick size no deadline decides anything, but where the attack is about one. */
export const patient = {
  MULTISERVER_HANDSHAKE: "10 minutes",
  MULTISERVER_GRACE: "10 minutes",
  MULTISERVER_CLOSE: "1 minute"
}

/**
 * Attacks a server while somebody honest uses it. Whatever the attack was: the honest was served, the process
 * lives, there is one event for each connection, and nothing is left.
 */
export const siege = <A extends Attacked, E, R>(
  stack: StackName,
  checks: Checks,
  options: SiegeOptions,
  attack: (target: Target, honest: Honest) => Effect.Effect<A, E, R>
): Effect.Effect<Siege<A>, E, R | Scope.Scope> =>
  Effect.gen(function* () {
    const quick = options.size === "quick"
    const env = { ...(quick && patient), ...options.env }
    const { delay, every = quick ? 250 : 25, fds } = options
    const ofTarget = fds === undefined ? { env } : { env, fds }
    const lentTarget = yield* (yield* Targets)(JSON.stringify([stack, ofTarget]), startTarget(stack, ofTarget))
    const bystander = yield* (yield* Bystanders)("", startBystander)
    const target = yield* sinceNow(lentTarget.value)
    const patience = quick ? 120_000 : 5000
    const honest = yield* visit(bystander.value, target, { every, patience, delay })
    const before = yield* settled(target.counts)
    yield* honest.goOn
    const attacked = yield* attack(target, honest)
    const served = yield* honest.stop
    const failed = served.failures.length
    const most = Math.floor(((served.exchanges + failed) * (options.mayFail ?? 0)) / 100)
    checks.holds(
      failed <= most,
      `the honest was not served ${failed} of ${served.exchanges + failed} times: ${served.failures[0]}`
    )
    checks.holds(target.isAlive(), "the server died")
    // Some may still wait to be accepted, which the attackers need not do.
    const exchanges = 1 + served.exchanges
    const now = Effect.map(target.counts, ({ refused = {} }) => ({
      refused,
      tags: minus(target.tags(), { end: exchanges })
    }))
    // An exchange that was given up has an event too, if it ever got to the server.
    const heard = Effect.map(now, ({ refused, tags }) => sum(tags) + sum(refused))
    yield* untilStill(heard, attacked.connections)
    const after = yield* sameAs(before, target.counts, checks, "the server")
    const { refused, tags } = yield* now
    const events = yield* heard
    checks.holds(
      events >= attacked.connections && events <= attacked.connections + failed,
      `${events} events for ${attacked.connections} connections: ${JSON.stringify({ ...tags, ...refused })}`
    )
    // Events of exchanges that were given up may come later, and be taken for the next attack's.
    if (checks.allHold && failed === 0) yield* Effect.andThen(lentTarget.giveBack, bystander.giveBack)
    return { attacked, served, tags, refused, before, after }
  })
