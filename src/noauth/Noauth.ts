/**
 * `noauth`: no encryption and no authentication, for peers that are vouched for by where they are.
 *
 * Over unix sockets and memory, which only this user's processes can reach, the peer is `Trusted`. Over loopback any
 * local user gets there, and any web page: the peer is `Anonymous`, unless the layer trusts loopback. Anywhere else it
 * is `Insecure`. It never shows our own key as the peer's, as npm multiserver does.
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Address from "../Address.ts"
import * as Link from "../Link.ts"
import { Trusted } from "../Peer.ts"
import * as Transform from "../Transform.ts"
import type { Below } from "../Transport.ts"

/** Who is trusted without proof. */
export interface Options {
  /** Whether everybody who can reach loopback is taken for this user. By default not. */
  readonly trustLoopback?: boolean
}

const insecure = ({ reach, trusted }: Below): string | undefined =>
  trusted || reach === "device"
    ? undefined
    : "noauth lets everybody in who gets there: use it over unix, memory or a loopback address, or take shs"

/** The transform `noauth`. */
export const layer = (options: Options = {}): Layer.Layer<Transform.Transform<"noauth">> => {
  const wrap = (link: Link.Link, _section: Address.Noauth, below: Below) =>
    Effect.sync(() => {
      const peer = below.trusted || options.trustLoopback === true ? new Trusted() : link.peer
      return Link.over(link, link.port, { peer, remote: link.remote.with(new Address.Noauth()) })
    })
  return Transform.layer("noauth", {
    section: Schema.toType(Address.Noauth),
    authenticates: false,
    insecure,
    outbound: wrap,
    inbound: wrap
  })
}
