/**
 * A link: what transports make and transforms wrap, until the stack is finished and one `Connection` is made on top of
 * it.
 *
 * It is a port, and who and where its peer is. Wrapping a link is cheap: nothing is built that the next layer would
 * only take apart.
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
export type { AccountTag } from "./link/parting.ts"
export type { Account } from "./link/user.ts"

/**
 * Who is at the other end of a link, and where.
 *
 * @category models
 * @since 0.1.0
 */
export interface Who {
  readonly peer: Peer
  /** The peer's address, as it was reached, with the keys that it has proved. Never contains a seed. */
  readonly remote: Address
  /** Where the peer comes from, as far as the transport knows: an IP, for example, or a key. */
  readonly source?: string | undefined
  /** The value that `authorize` returned for the peer. */
  readonly authorized?: unknown
  /**
   * Bytes that both ends of this session have and no other session has, where a protocol of the stack provides them.
   */
  readonly binding?: Uint8Array | undefined
}

/**
 * `Who`, of which the peer may be left out: by default it is `Anonymous`.
 *
 * @category options
 * @since 0.1.0
 */
export interface WhoOptions extends Omit<Who, "peer">, Partial<Pick<Who, "peer">> {}

/**
 * An open byte stream, and who is at its other end. Made by `make`, and by `over` on top of another link.
 *
 * @category models
 * @since 0.1.0
 */
export interface Link extends Who {
  readonly port: Port
  /** One for the whole stack: it ends the stack, and counts the bytes that the stack carries. */
  readonly leaving: Leaving
}

/**
 * Makes the link over a transport's port. It lives as long as the scope. If the scope closes before the connection is
 * open, or after a failure, the ports are destroyed. Otherwise they are left in order: each is ended, drained and
 * closed before the one below.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (port: Port, who: Who): Effect.Effect<Link, never, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) => {
    const leaving = new Leaving(port)
    return Effect.as(Scope.addFinalizerExit(scope, finalizer(leaving, scope)), { ...who, port, leaving })
  })

/** Outside `make`, because a closure inside it would keep `make`'s arguments alive. */
const finalizer = (leaving: Leaving, scope: Scope.Scope) => (exit: Exit.Exit<unknown, unknown>) =>
  leaving.leave(exit, scope)

/**
 * Puts another port on top. `who` replaces what is known better now.
 *
 * @category combinators
 * @since 0.1.0
 */
export const over = (link: Link, port: Port, who: Partial<Who>): Link => {
  link.leaving.raise(port)
  return { ...link, ...who, port }
}

/**
 * The `leaving` of a connection within a stack. It hears from the link's port. The connection is left together with its
 * stack.
 *
 * @category constructors
 * @since 0.1.0
 */
export const inner = (link: Link): Leaving => new Leaving(link.port)

/**
 * Runs a wrapper of a link. What the wrapper acquires is released after the goodbye has left, and not before.
 *
 * @category combinators
 * @since 0.1.0
 */
export const lay = <A, E, R>(
  link: Link,
  wrap: (link: Link) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, Scope.Scope>> => Scope.provide(wrap(link), link.leaving.layScope())
