/** How much, and how long: every number in one place, with its reason. Read where a Multiserver layer is built. */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"

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
