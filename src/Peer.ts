/** Who is at the other end of a connection. */
import * as Schema from "effect/Schema"
import { PublicKey } from "./Identity.ts"

/**
 * Nothing is known about the peer.
 *
 * @category models
 * @since 0.1.0
 */
export class Anonymous extends Schema.TaggedClass<Anonymous>()("Anonymous", {}) {}
/**
 * The one value of `Anonymous`.
 *
 * @category constants
 * @since 0.1.0
 */
export const anonymous = new Anonymous()
/**
 * The peer has proved that it holds the secret half of this key.
 *
 * @category models
 * @since 0.1.0
 */
export class Authenticated extends Schema.TaggedClass<Authenticated>()("Authenticated", { publicKey: PublicKey }) {}
/**
 * The peer is trusted because of where it is: noauth over a unix socket, in memory, or on a loopback that is trusted.
 *
 * @category models
 * @since 0.1.0
 */
export class Trusted extends Schema.TaggedClass<Trusted>()("Trusted", {}) {}

/**
 * Who is at the other end.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Peer = Schema.Union([Anonymous, Authenticated, Trusted])
export type Peer = typeof Peer.Type
