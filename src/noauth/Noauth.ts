/**
 * `noauth`: no encryption and no authentication, for peers that are trusted because of where they are.
 *
 * Over unix sockets and memory, which only this user's processes can reach, the peer is `Trusted`. Loopback can be
 * reached by any local user and any web page: there the peer is `Anonymous`, unless the layer trusts loopback. Anywhere
 * else to dial or listen fails with `Insecure`. Unlike npm multiserver, it never gives our own key as the peer's.
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Address from "../Address.ts"
import * as Link from "../Link.ts"
import { Trusted } from "../Peer.ts"
import * as Transform from "../Transform.ts"
import type { Below } from "../Transport.ts"

/**
 * Options of `noauth`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** Whether every peer over loopback is `Trusted`, as if it were this user's own process. By default not. */
  readonly trustLoopback?: boolean
}

const section = new Address.Noauth()

const insecure = ({ reach, trusted }: Below): string | undefined =>
  trusted || reach === "device"
    ? undefined
    : "noauth lets in everybody who can connect: use it over unix, memory or a loopback address, or take shs"

/**
 * The transform `noauth`. It needs no keys.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Transform.Transform<"noauth">> => {
  const wrap = (link: Link.Link, _section: Address.Noauth, below: Below) =>
    Effect.sync(() => {
      const peer = below.trusted || options.trustLoopback === true ? new Trusted() : link.peer
      return Link.over(link, link.port, { peer, remote: link.remote.with(section) })
    })
  return Transform.layer("noauth", {
    section: Schema.toType(Address.Noauth),
    authenticates: false,
    insecure,
    outbound: wrap,
    inbound: wrap
  })
}
