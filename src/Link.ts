/**
 * A link: what transports make and transforms wrap, until the stack is finished and one `Connection` is made on top of
 * it.
 *
 * It is a port with who and where. Wrapping one is cheap: nothing is built that the next layer would only take apart.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Address } from "./Address.ts"
import { Leaving } from "./link/leaving.ts"
import type { Peer } from "./Peer.ts"
import type { Port } from "./Port.ts"

export { CloseDeadlines } from "./link/closeDeadlines.ts"
export type { Leaving } from "./link/leaving.ts"
export type { Account } from "./link/user.ts"

/** Who is at the other end of a link, and where. */
export interface Who {
  readonly peer: Peer
  /** As reached, with the keys that were proved. Never with a seed. */
  readonly remote: Address
  /** What the transport knows its origin by: an IP, a key. `undefined` where there is nothing of the kind. */
  readonly source?: string | undefined
  /** The value that `authorize` gave for the peer. */
  readonly authorized?: unknown
  /** Bytes that both ends of this session share and no other session has, where a protocol gives some. */
  readonly binding?: Uint8Array | undefined
}

/** A byte stream that has been opened, and who is at its other end. Made by `make`, and by what wraps another one. */
export interface Link extends Who {
  readonly port: Port
  /** One for the whole stack: who ends it, and what it has carried. */
  readonly leaving: Leaving
}

/**
 * The link over a port, as long as the scope. Until it is a connection, the end of the scope destroys its topmost port;
 * afterwards, when the scope closes after success, the ports are left in order: the upper one is ended, drained and
 * closed before the one below.
 */
export const make = (port: Port, who: Who): Effect.Effect<Link, never, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) => {
    const leaving = new Leaving(port)
    return Effect.as(Scope.addFinalizerExit(scope, finalizer(leaving, scope)), { ...who, port, leaving })
  })

/** Outside `make`, because a closure inside it would keep `make`'s arguments alive. */
const finalizer = (leaving: Leaving, scope: Scope.Scope) => (exit: Exit.Exit<unknown, unknown>) =>
  leaving.leave(exit, scope)

/** Another port on top. `who` says what is known better now. */
export const over = (link: Link, port: Port, who: Partial<Who>): Link => {
  link.leaving.raise(port)
  return { ...link, ...who, port }
}

/** For a connection within a stack: it hears from the link's port, and leaves with the stack. */
export const inner = (link: Link): Leaving => new Leaving(link.port)

/** A wrapper of a link: what it acquires is let go of when the goodbye has left, and not before. */
export const lay = <A, E, R>(
  link: Link,
  wrap: (link: Link) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, Scope.Scope>> => Scope.provide(wrap(link), link.leaving.layScope())
