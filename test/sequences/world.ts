/**
 * What is so: one Multiserver with a listener of each transport, those who come from outside, and what can be counted
 * of it all. Time is virtual, sockets are real.
 */
import { AsyncLocalStorage, createHook, executionAsyncResource } from "node:async_hooks"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type * as Address from "../../src/Address.ts"
import { mainNetwork } from "../../src/AppKey.ts"
import { Capacity } from "../../src/Capacity.ts"
import type * as Connection from "../../src/Connection.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Events from "../../src/Events.ts"
import * as Identity from "../../src/Identity.ts"
import * as Limits from "../../src/Limits.ts"
import type * as Listener from "../../src/Listener.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Memory from "../../src/memory/Memory.ts"
import * as Net from "../../src/net/Net.ts"
import * as Policy from "../../src/Policy.ts"
import * as MessagePorts from "../../src/port/MessagePorts.ts"
import * as Shs from "../../src/shs/Shs.ts"
import * as Transport from "../../src/Transport.ts"
import * as Unix from "../../src/unix/Unix.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { loopback } from "../support/ports.ts"
import { primitives } from "../support/primitives.ts"
import * as Model from "./model.ts"
import { LinkOutsider, type Outsider, SocketOutsider } from "./outsider.ts"

/** Longer than all that a sequence's steps take of virtual time, but for those that let it pass. */
const hours = Duration.hours(10)

/** A valid first message of shs: it needs the app key, and not that of the server. */
export const hello = (() => {
  const appKey = Redacted.value(mainNetwork)
  const publicKey = primitives.x25519FromPublicKey(primitives.ed25519KeyPair(new Uint8Array(32).fill(7)).publicKey)
  if (publicKey === undefined) throw new Error("libsodium does not convert its own key")
  return new Uint8Array(Buffer.concat([primitives.hmac(appKey, publicKey), publicKey]))
})()

/** The key of somebody who is not here. */
const stranger = Buffer.from(primitives.ed25519KeyPair(new Uint8Array(32).fill(9)).publicKey).toString("base64")

/** A port over which nobody can be reached: a dial waits where nobody listens yet, and here it fails at once. */
const deaf = (): MessagePorts.MessagePortLike =>
  Object.assign(new EventTarget(), {
    postMessage: () => {
      throw new Error("nobody is there")
    }
  })

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))

// -----------------------------------------------------------------------------
// counting
// -----------------------------------------------------------------------------

/** What runs in here is a sequence, and not what runs the tests. */
export const within = new AsyncLocalStorage<"sequence">()
/** The timers that a sequence has made and that are not over, with those that keep no process alive. */
const timers = new Map<number, { readonly _onTimeout?: { readonly name: string } | null }>()
/** Node 20 loses the store in what a server's HTTP parser calls. Here only sequences serve HTTP. */
const isOfParser = (): boolean => executionAsyncResource().constructor?.name === "HTTPParser"
createHook({
  init: (id, type, _trigger, resource) => {
    if (type === "Timeout" && (within.getStore() !== undefined || isOfParser())) timers.set(id, resource)
  },
  destroy: (id) => {
    timers.delete(id)
  }
}).enable()

const seen: { capacity: Capacity | undefined } = { capacity: undefined }
/** A Multiserver does not say how many places it has given: this asks what it counts with. */
const { take } = Capacity.prototype
Capacity.prototype.take = function () {
  seen.capacity = this
  take.call(this)
}

const placesTaken = (): number => seen.capacity?.count ?? 0

const fdFolder = "/proc/self/fd"
/** By the kernel's account, where it gives one. */
const fdsOpen = (): number => (fs.existsSync(fdFolder) ? fs.readdirSync(fdFolder).length : 0)

/** What is open, for who has to understand a failure. */
const openThings = (): string => {
  const links = fs.readdirSync(fdFolder).map((fd) => {
    const link = Result.getOrUndefined(Result.try(() => fs.readlinkSync(path.join(fdFolder, fd))))
    return link?.replace(/\d+/g, "") ?? ""
  })
  const counted = [...links, ...process.getActiveResourcesInfo()].reduce(
    (counts, name) => counts.set(name, (counts.get(name) ?? 0) + 1),
    new Map<string, number>()
  )
  return [...counted].map(([name, times]) => `${name} ${times}`).join(", ")
}

/** A dial that was interrupted leaves a thread the rest of its file to read. */
const isReadingFile = (): boolean => process.getActiveResourcesInfo().includes("FSReqCallback")

/** What is open without any world, once it has been the same for a while: what is closed is gone a moment later. */
const openWithoutWorld = async (): Promise<number> => {
  let last = fdsOpen()
  for (let same = 0; same < 100; same++) {
    await turn()
    const now = fdsOpen()
    if (now !== last || isReadingFile()) same = 0
    last = now
  }
  return last
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const turns = async (times: number): Promise<void> => {
  for (let i = 0; i < times; i++) await turn()
}

/** An event as a line: what it is, whose, and how it went. */
const line = (event: Events.Event): string => {
  switch (event._tag) {
    case "Connected":
      return `connected ${event.role} ${event.stack}`
    case "Closed":
      return `closed ${event.role} ${event.stack} ${event.tag}`
    case "HandshakeFailed":
      return `handshake-failed ${event.stack} ${event.tag}`
    case "Refused":
      return Array.from({ length: event.count }, () => `refused ${event.stack} ${event.tag}`).join("\n")
    case "DialFailed":
      return `dial-failed ${event.error.reason._tag}`
    case "Fallback":
      return "fallback"
    case "SourceFailed":
    case "RecordRefused":
    case "RecordConflict":
    case "GossipDropped":
    case "WorkerStarted":
    case "WorkerExited":
      return event._tag
  }
}

// -----------------------------------------------------------------------------
// the world
// -----------------------------------------------------------------------------

const stacks = Model.transports.map((transport): `${Model.Transport}~shs` => `${transport}~shs`)

/** One who was let in. */
interface Accepted {
  /** Lets its handler return, or fail. */
  readonly leave: Deferred.Deferred<void, string>
}

/** Both ends of a dialed connection. */
interface Session {
  readonly connection: Connection.Connection
  readonly accepted: Accepted
  readonly scope: Scope.Closeable
  sent: number
  received: number
}

interface Listening {
  readonly listener: Listener.Listener
  readonly address: Address.Address
  readonly scope: Scope.Closeable
}

type Services = Multiserver.Multiserver | Transport.Transport<"memory"> | Transport.Transport<"port">

/** An event that has to have been told, or may have been. */
export interface Expected {
  readonly event: string | RegExp
  readonly optional?: boolean
}

export class World {
  readonly outsiders = new Map<number, Outsider>()
  readonly sessions = new Map<number, Session>()
  readonly dials = new Map<number, Fiber.Fiber<unknown, unknown>>()
  readonly listening = new Map<Model.Transport, Listening>()
  /** By the number that each dialer says first. */
  private readonly accepted = new Map<number, Accepted>()
  private events: Array<string> = []
  private liveFibers = 0
  private pages = 0
  private readonly directory: string
  private readonly mute: { readonly tcp: net.Server; readonly unix: net.Server; readonly sockets: Set<net.Socket> }
  private readonly scope = Scope.makeUnsafe()
  private context!: Context.Context<Services>
  private base: Model.Counts = { places: 0, fds: 0, fibers: 0, timers: 0 }
  /** The file descriptors from before there was anything of it. */
  private readonly before: number
  /** How long it is waited for what does not come. */
  private readonly patience: number

  private constructor(patience: number, before: number) {
    this.patience = patience
    this.before = before
    this.directory = fs.mkdtempSync(path.join(os.tmpdir(), "ms-sequences-"))
    const sockets = new Set<net.Socket>()
    const silent = () =>
      net.createServer((socket) => {
        sockets.add(socket)
        socket.on("error", () => {}).on("close", () => sockets.delete(socket))
        socket.resume()
      })
    this.mute = { tcp: silent(), unix: silent(), sockets }
  }

  static async make(patience: number): Promise<World> {
    const before = await openWithoutWorld()
    const world = new World(patience, before)
    const { directory, mute } = world
    await new Promise<void>((resolve) => mute.tcp.listen(0, "127.0.0.1", resolve))
    await new Promise<void>((resolve) => mute.unix.listen(path.join(directory, "mute"), resolve))
    world.context = await Effect.runPromise(Scope.provide(world.build(), world.scope))
    // The clock's own fibers, and whatever is made when it is first needed.
    await world.run(TestClock.adjust(1))
    await turns(10)
    world.base = world.measure()
    return world
  }

  /** Has each transport used once: what Node then opens for good, it has open from the beginning. */
  static async warmUp(): Promise<void> {
    const world = await World.make(1000)
    await world.listenOnAll()
    for (const transport of Model.transports) {
      await world.dial(0, world.addressOf(transport) ?? world.nobodyAt(transport))
      await world.exchange(0, 1000)
    }
    await world.close()
  }

  private build(): Effect.Effect<Context.Context<Services>, never, Scope.Scope> {
    const fibers: Metric.FiberRuntimeMetricsService = {
      recordFiberStart: () => void this.liveFibers++,
      recordFiberEnd: () => void this.liveFibers--
    }
    // A page that is never done: it holds its place for as long as its reader waits.
    const handler = () => void this.pages++
    const options = { upgradeTimeout: hours, ping: hours, handler }
    const credentials = { key: fixture("server.key"), cert: fixture("server.crt") }
    const protocols = Layer.mergeAll(
      Net.layer(),
      Unix.layer(),
      WebSocket.layer(options),
      WebSocket.layerSecure({ ...options, credentials, ca: fixture("ca.crt") }),
      Shs.layer()
    )
    const rules: Policy.PolicyRules = { ...Policy.allowAll, mayConnect: (source) => source !== Model.denied }
    const values: Limits.LimitValues = {
      ...Limits.defaults,
      ...Model.limits,
      handshake: hours,
      close: hours,
      grace: hours,
      sourceRate: 1e9,
      exemptLoopback: false
    }
    const environment = Layer.mergeAll(
      Layer.succeed(Limits.Limits, values),
      Layer.succeed(Policy.Policy, rules),
      Events.layer((event) => Effect.sync(() => void this.events.push(...line(event).split("\n")))),
      Logger.layer([]),
      TestClock.layer(),
      Layer.succeed(Metric.FiberRuntimeMetrics, fibers)
    )
    const layer = Multiserver.layer(stacks).pipe(
      Layer.provide(protocols),
      Layer.provideMerge([Memory.layer(), MessagePorts.layer({ ports: { m: loopback(), nobody: deaf() } })]),
      Layer.provide(Identity.layerEphemeral),
      Layer.provide(Sodium.layer),
      Layer.provideMerge(environment)
    )
    return Layer.build(layer).pipe(Random.withSeed("sequences"))
  }

  private run<A, E>(effect: Effect.Effect<A, E, Services>): Promise<A> {
    return Effect.runPromiseWith(this.context)(effect)
  }

  /** What there is, over what there was when nobody was there. */
  private measure(): Model.Counts {
    const { base } = this
    return {
      places: placesTaken() - base.places,
      fds: fdsOpen() - base.fds,
      fibers: this.liveFibers - base.fibers,
      timers: timers.size - base.timers
    }
  }

  // ---- listening ----

  target(transport: Model.Transport): string {
    switch (transport) {
      case "memory":
      case "port":
        return `${transport}:m~shs`
      case "unix":
        return `unix:${this.directory}/socket~shs`
      default:
        return `${transport}://127.0.0.1:0~shs`.replace(/^net:\/\//, "net:")
    }
  }

  addressOf(transport: Model.Transport): Address.Address | undefined {
    return this.listening.get(transport)?.address
  }

  /** An address of the transport at which nobody listens. */
  nobodyAt(transport: Model.Transport): string {
    const place = { memory: ":nobody", port: ":nobody", unix: `:${this.directory}/nobody`, net: ":127.0.0.1:1" }
    const own = transport === "ws" || transport === "wss" ? "://127.0.0.1:1" : place[transport]
    return `${transport}${own}~shs:${stranger}`
  }

  /** All transports are listened on, as when most sequences begin. */
  async listenOnAll(): Promise<void> {
    for (const transport of Model.transports) await this.listen(transport)
  }

  async listen(transport: Model.Transport): Promise<void> {
    const scope = Scope.makeUnsafe()
    const bound = this.run(Scope.provide(Multiserver.listen(this.target(transport)), scope))
    const listener = await this.comes("listening", bound)
    const [address] = listener.addresses()
    if (address === undefined) throw new Error(`${transport} has no address`)
    await this.run(Effect.forkDetach(listener.run((connection) => this.serve(connection))))
    this.listening.set(transport, { listener, address, scope })
  }

  /** Reads who it is, and then echoes, until it is told to leave. */
  private serve(connection: Connection.Connection): Effect.Effect<void, unknown> {
    return Effect.flatMap(connection.pull, ([first]) => {
      const accepted: Accepted = { leave: Deferred.makeUnsafe() }
      this.accepted.set(Buffer.from(first).readUint16BE(), accepted)
      const echo = connection.pull.pipe(
        Effect.flatMap(connection.writeAll),
        Effect.forever({ disableYield: true }),
        Effect.catchIf(Cause.isDone, () => connection.end)
      )
      return Effect.raceFirst(echo, Deferred.await(accepted.leave))
    })
  }

  /** The listener begins to stop. It is done when what it keeps is gone. */
  drain(transport: Model.Transport): void {
    const listening = this.listening.get(transport)
    if (listening === undefined) return
    this.listening.delete(transport)
    Effect.runForkWith(this.context)(Scope.close(listening.scope, Exit.void))
  }

  // ---- outsiders ----

  /** The port of a transport's listener, or of nobody. */
  private portOf(transport: Model.Transport): number {
    const section = this.listening.get(transport)?.address.transport
    if (section !== undefined && "port" in section) return section.port
    throw new Error(`${transport} has no port`)
  }

  async connect(id: number, transport: Model.Transport, source: string | undefined, localPort?: number): Promise<void> {
    const outsider = await this.comes("connecting", this.outsiderTo(transport, source, localPort))
    if (outsider !== undefined) this.outsiders.set(id, outsider)
  }

  private outsiderTo(
    transport: Model.Transport,
    source: string | undefined,
    localPort: number | undefined
  ): Promise<Outsider | undefined> {
    switch (transport) {
      case "memory":
      case "port": {
        const section = this.listening.get(transport)?.address.transport
        if (section === undefined) throw new Error(`nobody listens over ${transport}`)
        const shape: Transport.Shape =
          transport === "memory"
            ? Context.get(this.context, Transport.Transport("memory"))
            : Context.get(this.context, Transport.Transport("port"))
        return this.run(LinkOutsider.connect(shape, section))
      }
      case "unix":
        return SocketOutsider.connect({ path: path.join(this.directory, "socket") })
      default:
        return SocketOutsider.connect({
          host: "127.0.0.1",
          port: this.portOf(transport),
          ...(source !== undefined && { localAddress: source }),
          ...(localPort !== undefined && { localPort })
        })
    }
  }

  /** Asks for a page; resolves when it is being made. */
  async askForPage(id: number, transport: Model.Transport, lines: ReadonlyArray<string>): Promise<void> {
    const before = this.pages
    await this.askHalf(id, transport, [...lines, ""].join("\r\n"))
    await this.until(() => this.pages > before)
  }

  /** Asks for a WebSocket, in a way; the status of the answer. */
  async ask(id: number, transport: Model.Transport, lines: ReadonlyArray<string>): Promise<number | undefined> {
    const socket = this.socketOf(id)
    if (transport === "wss") await this.comes("TLS", socket.secure())
    return this.comes("the answer", socket.ask(lines))
  }

  /** Begins to ask, and stops. */
  async askHalf(id: number, transport: Model.Transport, line: string): Promise<void> {
    const socket = this.socketOf(id)
    if (transport === "wss") await this.comes("TLS", socket.secure())
    socket.begin(line)
  }

  socketOf(id: number): SocketOutsider {
    const outsider = this.outsiders.get(id)
    if (outsider instanceof SocketOutsider) return outsider
    throw new Error(`${id} has no socket`)
  }

  /** Those of them that nothing is left of. */
  gone(ids: Iterable<number>): ReadonlyArray<number> {
    return [...ids].filter((id) => this.outsiders.get(id)?.closed !== false)
  }

  // ---- dialing ----

  /** Dials a listener, and says who it is. */
  async dial(id: number, target: Multiserver.Target): Promise<boolean> {
    const scope = Scope.makeUnsafe()
    const dialed = await this.comes("a dial", this.run(Effect.result(Scope.provide(Multiserver.dial(target), scope))))
    if (Result.isFailure(dialed)) {
      await this.run(Scope.close(scope, Exit.void))
      return false
    }
    const who = Uint8Array.of(id >> 8, id & 255)
    await this.comes("a first write", this.run(dialed.success.write(who)))
    await this.until(() => this.accepted.has(id))
    const accepted = this.accepted.get(id)
    if (accepted === undefined) throw new Error("the dial has succeeded, and no handler has begun")
    const session: Session = { connection: dialed.success, accepted, scope, sent: 0, received: 0 }
    this.sessions.set(id, session)
    Effect.runForkWith(this.context)(this.reading(session))
    return true
  }

  /** Reads to the end; then it leaves as it heard. */
  private reading(session: Session): Effect.Effect<void> {
    const { connection, scope } = session
    return connection.pull.pipe(
      Effect.map((chunks) => {
        for (const { length } of chunks) session.received += length
      }),
      Effect.forever({ disableYield: true }),
      Effect.exit,
      Effect.flatMap((exit) => {
        const error = Exit.isFailure(exit) ? Cause.findError(exit.cause) : undefined
        const ended = error !== undefined && Result.isSuccess(error) && Cause.isDone(error.success)
        return Scope.close(scope, ended ? Exit.void : Exit.fail("broken"))
      })
    )
  }

  sessionOf(id: number): Session {
    const session = this.sessions.get(id)
    if (session === undefined) throw new Error(`there is no session ${id}`)
    return session
  }

  async exchange(id: number, length: number): Promise<void> {
    const session = this.sessionOf(id)
    session.sent += length
    await this.comes("a write", this.run(session.connection.write(new Uint8Array(length))))
    if (!(await this.until(() => session.received === session.sent))) throw new Error("not all came back")
  }

  /** The dialer closes its scope. */
  hangUp(id: number, exit: Exit.Exit<void, string>): void {
    Effect.runForkWith(this.context)(Scope.close(this.sessionOf(id).scope, exit))
  }

  /** The handler of the other end is done. */
  leave(id: number, how: Effect.Effect<void, string>): void {
    Deferred.doneUnsafe(this.sessionOf(id).accepted.leave, how)
  }

  /** Dials those who never answer, from when they have been reached. */
  async dialMute(id: number, transport: Model.Transport): Promise<void> {
    const { directory, mute } = this
    const port = (mute.tcp.address() as net.AddressInfo).port
    const target = transport === "unix" ? `unix:${directory}/mute` : `net:127.0.0.1:${port}`
    const before = mute.sockets.size
    const dial = Effect.scoped(Effect.andThen(Multiserver.dial(`${target}~shs:${stranger}`), Effect.never))
    this.dials.set(id, Effect.runForkWith(this.context)(dial))
    await this.until(() => mute.sockets.size > before)
  }

  interruptDial(id: number): Promise<void> {
    const fiber = this.dials.get(id)
    this.dials.delete(id)
    return fiber === undefined ? Promise.resolve() : this.comes("an interrupted dial", this.run(Fiber.interrupt(fiber)))
  }

  /**
   * A dial of which nobody knows how it goes, that reads to the end when it succeeds; waits for some turns of the event
   * loop.
   */
  async dialAway(target: Multiserver.Target, turnsMeanwhile: number): Promise<void> {
    const drained = ({ pull }: Connection.Connection) => Effect.ignore(Effect.forever(pull))
    Effect.runForkWith(this.context)(Effect.ignore(Effect.scoped(Effect.flatMap(Multiserver.dial(target), drained))))
    await turns(turnsMeanwhile)
  }

  /** A dial that is interrupted after so many turns of the event loop, wherever it has got to by then. */
  async dialBriefly(target: Multiserver.Target, after: number): Promise<void> {
    const dial = Effect.scoped(Effect.andThen(Multiserver.dial(target), Effect.never))
    const fiber = Effect.runForkWith(this.context)(dial)
    await turns(after)
    await this.comes("an interrupted dial", this.run(Fiber.interrupt(fiber)))
  }

  // ---- time ----

  /** Longer than a handshake may take. */
  async pass(): Promise<void> {
    await this.run(TestClock.adjust(Duration.sum(hours, Duration.seconds(1))))
  }

  /**
   * Waits until it is so. Who leaves looks every 20 ms whether the peer is done, so `time` goes on a little meanwhile,
   * unless it is something else that is waited for.
   */
  async until(holds: () => boolean, time: "passes" | "stands" = "passes"): Promise<boolean> {
    const began = performance.now()
    for (let i = 1; !holds(); i++) {
      // What takes long waits for a thread or for another process.
      if (i < 100) await turn()
      else await new Promise((resolve) => setTimeout(resolve, 1))
      if (time === "passes" && i % 10 === 0) await this.run(TestClock.adjust(20))
      if (i % 100 === 0 && performance.now() - began > this.patience) return false
    }
    return true
  }

  /** What a promise comes to, which has to come to something. */
  private async comes<A>(what: string, promise: Promise<A>): Promise<A> {
    let settled = false
    const settle = () => {
      settled = true
    }
    promise.then(settle, settle)
    if (!(await this.until(() => settled, "stands"))) throw new Error(`${what} never ends`)
    return promise
  }

  /** Lets all arrive that is on its way. */
  calm(): Promise<void> {
    return turns(50)
  }

  // ---- agreeing ----

  /** How many steps there were, and how often each event was told. */
  readonly tally = new Map<string, number>()

  private count(what: string): void {
    this.tally.set(what, (this.tally.get(what) ?? 0) + 1)
  }

  /** That the world is as the model says, and that these events were told, and no others. */
  async agrees(model: Model.Model, expected: ReadonlyArray<Expected>): Promise<void> {
    const wanted = model.counts
    const required = expected.filter(({ optional }) => optional !== true).length
    const holds = () => {
      if (this.events.length < required || isReadingFile()) return false
      const { fds, fibers, places, timers } = this.measure()
      return places === wanted.places && fibers === wanted.fibers && timers === wanted.timers && fds === wanted.fds
    }
    // What is on its way comes too. A file that was being read for a dial, for example, is opened and closed when a
    // thread gets to it.
    for (let tries = 0; tries < 50 && (await this.until(holds)); tries++) {
      await turns(20)
      if (holds()) break
    }
    const told = this.events
    this.events = []
    this.count("steps")
    for (const event of told) this.count(event.replace(/ \S+~shs/, ""))
    const { missing, unexpected } = compare(told, expected)
    const gone = this.gone(model.visitors.keys())
    const now = this.measure()
    if (holdsAll(now, wanted) && missing.length + unexpected.length + gone.length === 0) return
    throw new Error(
      [
        "the world is not as it ought to be",
        `there ought to be ${JSON.stringify(wanted)}`,
        `there are          ${JSON.stringify(now)}`,
        ...(now.timers === wanted.timers
          ? []
          : [`timers: ${[...timers.values()].map(({ _onTimeout }) => _onTimeout?.name).join(", ")}`]),
        ...(now.fds === wanted.fds ? [] : [`open: ${openThings()}`]),
        ...missing.map((event) => `not told: ${event}`),
        ...unexpected.map((event) => `told: ${event}`),
        ...gone.map((id) => `${id} was closed`)
      ].join("\n")
    )
  }

  /** Takes everything down, whatever has become of it. Answers what is left open. */
  async close(): Promise<string | undefined> {
    for (const outsider of this.outsiders.values()) outsider.reset()
    for (const id of this.dials.keys()) await this.interruptDial(id)
    for (const { scope } of this.sessions.values())
      Effect.runForkWith(this.context)(Scope.close(scope, Exit.fail("over")))
    for (const transport of this.listening.keys()) this.drain(transport)
    for (const socket of this.mute.sockets) socket.destroy()
    this.mute.tcp.close()
    this.mute.unix.close()
    await this.run(TestClock.adjust(hours))
    await Effect.runPromise(Scope.close(this.scope, Exit.void))
    fs.rmSync(this.directory, { recursive: true, force: true })
    const isClosed = await this.until(() => fdsOpen() <= this.before, "stands")
    return isClosed ? undefined : `left open when all is closed: ${openThings()}`
  }
}

const holdsAll = (a: Model.Counts, b: Model.Counts): boolean =>
  a.places === b.places && a.fds === b.fds && a.fibers === b.fibers && a.timers === b.timers

/** Each event is one of those expected, and each of those that are not optional was told. */
const compare = (told: ReadonlyArray<string>, expected: ReadonlyArray<Expected>) => {
  const open = [...expected]
  const unexpected = told.filter((event) => {
    const at = open.findIndex((each) =>
      typeof each.event === "string" ? each.event === event : each.event.test(event)
    )
    if (at === -1) return true
    open.splice(at, 1)
    return false
  })
  return { unexpected, missing: open.filter(({ optional }) => optional !== true).map(({ event }) => String(event)) }
}
