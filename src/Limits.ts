/**
 * Limits: every number that a program may want to change, in one place, with the reason for its default. Read where a
 * Multiserver layer is built. docs/limits.md lists these, and the limits of single protocols.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"

/**
 * The limits of one Multiserver.
 *
 * @category models
 * @since 0.1.0
 */
export interface LimitValues {
  /**
   * How long all handshakes of a connection may take together: from the transport's connection (dial) or from the
   * accept (listen).
   */
  readonly handshake: Duration.Duration
  /**
   * How long closing connections wait for the kernel to take what is pending. All that one scope closes share this
   * time.
   */
  readonly close: Duration.Duration
  /** How long handlers may go on after their listener has begun to stop. */
  readonly grace: Duration.Duration
  /** After this long without a byte in either direction, a connection fails with `TimedOut`. `Infinity`: never. */
  readonly idle: Duration.Duration
  /** How long the look-up of a host name may take in one dial. The time to connect begins after it. */
  readonly lookup: Duration.Duration
  /** How long a dial waits for a place while `dials` others connect, or while file descriptors are short. */
  readonly dialWait: Duration.Duration
  /** How many dials connect at once. Further dials wait, at most for `dialWait`. */
  readonly dials: number
  /**
   * How many accepted connections may be in their handshakes. Above it a newcomer gets in, and an older one of these is
   * ended.
   */
  readonly pendingHandshakes: number
  /**
   * How many connections there may be, dialed ones included. When there are so many, a newcomer gets in only if a
   * pending handshake can be ended for it; dials are never refused. Never more than the process has file descriptors
   * for.
   */
  readonly connections: number
  /**
   * How many accepted connections one source may have. A source is an IPv4 address, an IPv6 network of 56 bits, or any
   * other text by which a transport names its newcomers, such as a key. An IPv4 /24 or IPv6 /48 may have 8 times as
   * many, a /16 or /32 64 times.
   */
  readonly sourceConnections: number
  /**
   * How many newcomers a second of one source may be answered, or leave after they have sent something. As many may
   * come at once. The source's networks may have 8 and 64 times as many. Newcomers that send nothing don't count.
   */
  readonly sourceRate: number
  /** Whether the two limits on sources exempt loopback. Unix sockets and memory have no source. */
  readonly exemptLoopback: boolean
}

/**
 * The default limits.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: LimitValues = {
  // What libp2p gives an upgrade. In total, not per read: a peer that drips bytes gains nothing.
  handshake: Duration.seconds(10),
  // A kernel that takes nothing for a second belongs to a peer that doesn't read.
  close: Duration.seconds(1),
  // Long enough to finish a request, and half of what supervisors allow before they kill.
  grace: Duration.seconds(5),
  // Most connections are silent most of the time. TCP keep-alive and ws pings find peers that are gone.
  idle: Duration.infinity,
  // A resolver that retries within that time mostly answers, and one that doesn't is down.
  lookup: Duration.seconds(5),
  // Five dials, one after another, that nobody answers take as long.
  dialWait: Duration.seconds(30),
  // go-libp2p's, and less than the 192 sockets for which a soft limit of 256 file descriptors has room.
  dials: 160,
  // WireGuard's handshake queue. At 16 KiB each this is 16 MiB. When it is full, honest peers still get in, because the
  // oldest pending handshake makes room: in a flood of 1,500 a second each newcomer has 0.68 s.
  pendingHandshakes: 1024,
  // No number fits every machine. There is room for the soft limit of file descriptors, less 64 for everything else.
  connections: Number.POSITIVE_INFINITY,
  // go-libp2p's limit for an IPv6 /48. A household or an office behind one address stays below it. 64 sources may have
  // 4,096 connections.
  sourceConnections: 64,
  // A newcomer that speaks costs 0.4 ms of CPU, so one source can take a tenth of a core. WireGuard's 20 would refuse 9
  // in 10 of the honest newcomers that share an address with a flood of 150 a second. It would save little, because
  // refusing one costs 0.14 ms.
  sourceRate: 250,
  // Behind a proxy on this machine, everybody is on loopback.
  exemptLoopback: true
}

/**
 * The limit because of which a newcomer is refused: on all connections, on those of one source, or on how fast that
 * source's newcomers come.
 *
 * @category models
 * @since 0.1.0
 */
export type Exceeded = "TooManyConnections" | "TooManyFromSource" | "TooFast"

/**
 * The limits of a Multiserver, read where its layer is built. By default `defaults`.
 *
 * @category references
 * @since 0.1.0
 */
export const Limits: Context.Reference<LimitValues> = Context.Reference("effect-multiserver/Limits", {
  defaultValue: () => defaults
})

/** The durations among the limits may be written as Effect's other options write them: `"10 seconds"`. */
type Written = {
  readonly [Name in keyof LimitValues]?: LimitValues[Name] extends Duration.Duration
    ? Duration.Input
    : LimitValues[Name]
}

/**
 * The defaults, with some values replaced: `Limits.layer({ handshake: "5 seconds", sourceConnections: 8 })`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Limits, Memory, Multiserver } from "effect-multiserver"
 *
 * export const Live = Multiserver.layer(["memory"]).pipe(
 *   Layer.provide(Memory.layer()),
 *   Layer.provide(Limits.layer({ handshake: "5 seconds", idle: "10 minutes", sourceConnections: 8 }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (values: Written): Layer.Layer<never> => {
  const all = { ...defaults, ...values }
  return Layer.succeed(Limits, {
    ...all,
    handshake: Duration.fromInputUnsafe(all.handshake),
    close: Duration.fromInputUnsafe(all.close),
    grace: Duration.fromInputUnsafe(all.grace),
    idle: Duration.fromInputUnsafe(all.idle),
    lookup: Duration.fromInputUnsafe(all.lookup),
    dialWait: Duration.fromInputUnsafe(all.dialWait)
  })
}
