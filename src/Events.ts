/**
 * One record for what happens to each connection: opened, closed, or ended in its handshake. A reference that by default does
 * nothing; metrics and the command's `--json` are made from it. Read where a Multiserver layer is built.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Account } from "./Connection.ts"
import type { Attempt, DialError } from "./DialError.ts"
import type { HandshakeError } from "./HandshakeError.ts"

interface Common {
  /** Whether this side dialed or listened. */
  readonly role: "dial" | "listen"
  /** The address of the other end, as text without a seed. */
  readonly remote: string
  /** The names of the protocols: `net~shs`. */
  readonly stack: string
  /** Milliseconds since the connection was accepted or its dial began. */
  readonly millis: number
}

/** All handshakes are done. */
export interface Connected extends Common {
  readonly event: "connected"
  /** The peer's public key, base64, when it was proved. */
  readonly peer: string | undefined
  /** Of a dial: how many of its `millis` its transport took to connect. The rest is handshakes. */
  readonly connectMillis: number | undefined
  /** Of a WebSocket that a web page opened: the page's origin, as its browser says. */
  readonly origin: string | undefined
  /** Of a dial: the addresses that had failed before this one won, and why. */
  readonly failed: ReadonlyArray<Attempt>
}

/** The connection's scope is closed. */
export interface Closed extends Common, Account {
  readonly event: "closed"
  readonly peer: string | undefined
}

/** An accepted connection did not get through its handshakes. */
export interface HandshakeFailed extends Common {
  readonly event: "handshake-failed"
  readonly tag: HandshakeError["reason"]["_tag"]
  readonly error: HandshakeError
}

/** A newcomer was turned away before its first byte was read. */
export interface Refused {
  readonly event: "refused"
  readonly stack: string
  /** The IP that it came from. */
  readonly source: string | undefined
  /** `Origin`: it is a web page that may not connect, or called this server by a name that is not its own. */
  readonly tag: "DeniedByPolicy" | "TooMany" | "Draining" | "Origin"
  /** The web page that it said it was. */
  readonly origin: string | undefined
}

/** A dial failed, with the reasons of each address that was tried. */
export interface DialFailed {
  readonly event: "dial-failed"
  readonly error: DialError
  readonly millis: number
}

export type Event = Connected | Closed | HandshakeFailed | Refused | DialFailed

/** Hears each event. */
export type Sink = (event: Event) => Effect.Effect<void>

/** Hears nothing: the default. */
export const nobody: Sink = () => Effect.void

export const Events: Context.Reference<Sink> = Context.Reference("effect-multiserver/Events", {
  defaultValue: () => nobody
})
