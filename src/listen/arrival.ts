/** One newcomer, from its accept until its handler begins. */
import * as Duration from "effect/Duration"
import type * as Fiber from "effect/Fiber"
import { Displaced, HandshakeDraining, HandshakeError, HandshakeTimedOut } from "../HandshakeError.ts"
import type { LimitValues } from "../Limits.ts"
import type { Link } from "../Link.ts"
import type * as Transport from "../Transport.ts"
import type { Binding } from "./bindings.ts"
import type { Newcomer, Place } from "./sources.ts"

/** Why this side ends a newcomer before its handler begins. */
export type EndedBy = "Displaced" | "TimedOut" | "Draining"

/** What the listener can do with a newcomer that its transport has not handed over yet. */
export interface BeforeHandover {
  readonly hasSpoken: () => boolean
  readonly end: (why: EndedBy) => void
}

export class Arrival implements Newcomer {
  /** The binding that it arrived at. */
  readonly binding: Binding
  source: string | undefined
  origin: string | undefined
  place: Place | undefined
  /** The transport's effect that hands the connection over. It runs once, and this is `undefined` after that. */
  accepted: Transport.Accepted | undefined
  /** Lets the newcomer's fiber yield again. It does not yield until the transport has handed the connection over. */
  mayYield: (() => void) | undefined
  /** Runs its handshakes and its handler, once its transport has handed it over. */
  fiber: Fiber.Fiber<void> | undefined
  /** The link that its handshakes run over, while they run. */
  link: Link | undefined
  endedBy: EndedBy | undefined
  private readonly before: BeforeHandover | undefined

  constructor(binding: Binding, source: string | undefined, origin: string | undefined, before?: BeforeHandover) {
    this.binding = binding
    this.source = source
    this.origin = origin
    this.before = before
  }

  hasSpoken(): boolean {
    return (this.link?.leaving.handshakeRead ?? 0) > 0 || this.before?.hasSpoken() === true
  }

  end(why: EndedBy): void {
    this.endedBy ??= why
    if (this.fiber === undefined) this.before?.end(why)
    this.fiber?.interruptUnsafe()
    // Code that can't be interrupted, such as an `authorize`, keeps its fiber, but not its peer's socket.
    this.link?.leaving.destroy()
  }
}

/** A connection's protocol in errors: the names of its transforms, or the transport's if there are none. */
export const protocolOf = ({ stack }: Binding): string => {
  const [transport = "", ...transforms] = stack.name.split("~")
  return transforms.join("~") || transport
}

/** The error of a newcomer that this side has ended. */
export const endedError = (binding: Binding, why: EndedBy, { handshake }: LimitValues): HandshakeError => {
  const protocol = protocolOf(binding)
  switch (why) {
    case "TimedOut": {
      const reason = new HandshakeTimedOut({ millis: Duration.toMillis(handshake) })
      return new HandshakeError({ protocol, phase: "deadline", reason })
    }
    case "Displaced":
      return new HandshakeError({ protocol, phase: "pending", reason: new Displaced() })
    case "Draining":
      return new HandshakeError({ protocol, phase: "pending", reason: new HandshakeDraining() })
  }
}
