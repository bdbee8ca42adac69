/** How much, and how long: every number in one place, with its reason. Read where a Multiserver layer is built. */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

export interface LimitValues {
  /** For all handshakes of a connection together, from the open transport (dial) or from accept (serve). */
  readonly handshake: Duration.Duration
  /** How long connections that close together wait for the kernel to take what is pending. */
  readonly close: Duration.Duration
  /** How long the handlers of a listener that stops may go on. */
  readonly grace: Duration.Duration
  /** Accepted connections that are not yet handshaken; a newcomer above it is closed at once. */
  readonly pendingHandshakes: number
}

export const defaults: LimitValues = {
  // What libp2p gives an upgrade. In total, not per read: a peer that drips bytes gains nothing.
  handshake: Duration.seconds(10),
  // A kernel that takes nothing for a second belongs to a peer that doesn't read.
  close: Duration.seconds(1),
  // Long enough to finish a request, and half of what supervisors allow before they kill.
  grace: Duration.seconds(5),
  // WireGuard's handshake queue; at 16 KiB each this is 16 MiB.
  pendingHandshakes: 1024
}

export const Limits: Context.Reference<LimitValues> = Context.Reference("effect-multiserver/Limits", {
  defaultValue: () => defaults
})

/** The defaults with other values in some places. */
export const layer = (values: Partial<LimitValues>): Layer.Layer<never> =>
  Layer.succeed(Limits, { ...defaults, ...values })

const duration = (name: string, otherwise: Duration.Duration) =>
  Config.Duration(name).pipe(Config.withDefault(otherwise))

/** Limits from configuration: `HANDSHAKE`, `CLOSE`, `GRACE` (durations) and `PENDING_HANDSHAKES` under `MULTISERVER`. */
export const config: Config.Config<LimitValues> = Config.all({
  handshake: duration("handshake", defaults.handshake),
  close: duration("close", defaults.close),
  grace: duration("grace", defaults.grace),
  pendingHandshakes: Config.schema(
    Schema.NumberFromString.check(Schema.isInt(), Schema.isGreaterThan(0)),
    "pendingHandshakes"
  ).pipe(Config.withDefault(defaults.pendingHandshakes))
}).pipe(Config.nested("multiserver"))

/** `config` as a layer. */
export const layerConfig: Layer.Layer<never, Config.ConfigError> = Layer.effect(Limits, config)
