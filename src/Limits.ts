/**
 * How much, and how long: every number that a process may want otherwise, in one place, with its reason. Read where a
 * Multiserver layer is built. docs/limits.md has these and those that belong to one protocol.
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { check, readBoolean, readCount, readDuration, variables } from "./variables.ts"

/** How much, how many and how long. */
export interface LimitValues {
  /** For all handshakes of a connection together, from the open transport (dial) or from accept (serve). */
  readonly handshake: Duration.Duration
  /** How long connections that close together wait for the kernel to take what is pending. */
  readonly close: Duration.Duration
  /** How long the handlers of a listener that stops may go on. */
  readonly grace: Duration.Duration
  /** After this long without a byte in either direction, a connection fails with `TimedOut`. Infinity: never. */
  readonly idle: Duration.Duration
  /** For the look-up of a host name, of one dial. The time to connect begins after it. */
  readonly lookup: Duration.Duration
  /** How long a dial waits for a place, while as many connect as may. */
  readonly dialWait: Duration.Duration
  /** Dials of a Multiserver that connect at once. More wait, as long as `dialWait`. */
  readonly dials: number
  /** Accepted connections that are not yet handshaken. A newcomer above it gets in, and the oldest makes room. */
  readonly pendingHandshakes: number
  /**
   * All connections of a Multiserver; newcomers above it are refused. Never more than the system has file descriptors
   * for.
   */
  readonly connections: number
  /**
   * Accepted connections of one source: an IPv4 address, an IPv6 network of 56 bits, or what else a transport names its
   * newcomers by, such as a key. An IPv4 /24 or IPv6 /48 may have 8 times as many, a /16 or /32 64 times.
   */
  readonly sourceConnections: number
  /**
   * Newcomers a second of one source that are answered, or leave after they have said something, and as many at once;
   * of its networks 8 and 64 times as many. Who says nothing counts for nothing here.
   */
  readonly sourceRate: number
  /** Whether the two limits on sources leave out loopback. Unix sockets and memory have no source. */
  readonly exemptLoopback: boolean
}

/** What holds where nothing else is said. */
export const defaults: LimitValues = {
  // What libp2p gives an upgrade. In total, not per read: a peer that drips bytes gains nothing.
  handshake: Duration.seconds(10),
  // A kernel that takes nothing for a second belongs to a peer that doesn't read.
  close: Duration.seconds(1),
  // Long enough to finish a request, and half of what supervisors allow before they kill.
  grace: Duration.seconds(5),
  // Silence is what most connections of most protocols do; TCP keep-alive and ws pings find the dead.
  idle: Duration.infinity,
  // A resolver that retries within that time mostly answers, and one that doesn't is down.
  lookup: Duration.seconds(5),
  // As long as five dials one after another of which none is answered.
  dialWait: Duration.seconds(30),
  // go-libp2p's, and less than the 192 sockets for which a soft limit of 256 file descriptors has room.
  dials: 160,
  // WireGuard's handshake queue; at 16 KiB each this is 16 MiB. Full, it still serves the honest, because the oldest of
  // the pending makes room: a flood of 1,500 a second leaves whoever comes 0.68 s.
  pendingHandshakes: 1024,
  // No number fits every machine: what there is room for is the soft limit of file descriptors, less 64 for everything
  // else.
  connections: Number.POSITIVE_INFINITY,
  // go-libp2p's for an IPv6 /48. A household or an office behind one address stays below it; 64 sources make 4,096
  // connections.
  sourceConnections: 64,
  // A newcomer that speaks costs 0.4 ms of CPU, so one source can take a tenth of a core. WireGuard's 20 would refuse 9
  // in 10 of those who share an address with a flood of 150 a second; to refuse one costs 0.14 ms, so it would save
  // little.
  sourceRate: 250,
  // Behind a proxy on this machine, everybody is on loopback.
  exemptLoopback: true
}

/**
 * The limit for which a newcomer is turned away: on all connections, on those of one source, or on how fast those come.
 */
export type Exceeded = "TooManyConnections" | "TooManyFromSource" | "TooFast"

/** The limits of a Multiserver, read where its layer is built. By default `defaults`. */
export const Limits: Context.Reference<LimitValues> = Context.Reference("effect-multiserver/Limits", {
  defaultValue: () => defaults
})

/** The defaults with other values in some places. */
export const layer = (values: Partial<LimitValues>): Layer.Layer<never> =>
  Layer.succeed(Limits, { ...defaults, ...values })

/**
 * Limits from the variables of docs/configuration.md: `MULTISERVER_HANDSHAKE` and the other durations (`10 seconds`),
 * `MULTISERVER_PENDING_HANDSHAKES` and the other counts, and `MULTISERVER_EXEMPT_LOOPBACK` (`false`).
 */
export const config: Config.Config<LimitValues> = Config.all({
  handshake: readDuration(variables.handshake, defaults.handshake),
  close: readDuration(variables.close, defaults.close),
  grace: readDuration(variables.grace, defaults.grace),
  idle: readDuration(variables.idle, defaults.idle),
  lookup: readDuration(variables.lookup, defaults.lookup),
  dialWait: readDuration(variables.dialWait, defaults.dialWait),
  dials: readCount(variables.dials, defaults.dials),
  pendingHandshakes: readCount(variables.pendingHandshakes, defaults.pendingHandshakes),
  connections: readCount(variables.connections, defaults.connections),
  sourceConnections: readCount(variables.sourceConnections, defaults.sourceConnections),
  sourceRate: readCount(variables.sourceRate, defaults.sourceRate),
  exemptLoopback: readBoolean(variables.exemptLoopback, defaults.exemptLoopback)
})

/** `config` as a layer. It also fails when a variable `MULTISERVER_*` is set that nobody knows, or is empty. */
export const layerConfig: Layer.Layer<never, Config.ConfigError> = Layer.effect(
  Limits,
  Effect.andThen(
    check(({ readBy }) => readBy === "Limits.layerConfig"),
    config
  )
)
