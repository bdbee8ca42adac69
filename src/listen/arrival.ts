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

/** What is known of a newcomer that its transport has not handed over. */
export interface BeforeHandover {
  readonly hasSpoken: () => boolean
  readonly end: (why: EndedBy) => void
}

export class Arrival implements Newcomer {
  /** Where it has come to. */
  readonly binding: Binding
  source: string | undefined
  origin: string | undefined
  place: Place | undefined
  /** Hands its transport's connection over. Run once, and `undefined` when it has run. */
  accepted: Transport.Accepted | undefined
  /** Lets other fibers run again: none does until what hands the connection over has begun. */
  mayYield: (() => void) | undefined
  /** What runs it, once its transport has handed it over. */
  fiber: Fiber.Fiber<void> | undefined
  /** What its handshakes go over, while they do. */
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
    if (this.fiber !== undefined) this.fiber.interruptUnsafe()
    else this.before?.end(why)
  }
}

/** The protocols whose handshakes a connection goes through. */
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
