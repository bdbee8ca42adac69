/** Who is at the other end of a connection. */
import * as Schema from "effect/Schema"
import { PublicKey } from "./Identity.ts"

/** Nothing is known of who is at the other end. */
export class Anonymous extends Schema.TaggedClass<Anonymous>()("Anonymous", {}) {}
/** A peer of which nothing is known. */
export const anonymous = new Anonymous()
/** The other end has proved that it holds the secret half of this key. */
export class Authenticated extends Schema.TaggedClass<Authenticated>()("Authenticated", { publicKey: PublicKey }) {}
/** The other end is vouched for by where it is: noauth over a unix socket or in memory. */
export class Trusted extends Schema.TaggedClass<Trusted>()("Trusted", {}) {}

/** Who is at the other end. */
export const Peer = Schema.Union([Anonymous, Authenticated, Trusted])
export type Peer = typeof Peer.Type
