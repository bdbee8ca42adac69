/** The layers of the protocols that the command speaks. `spoken.ts` has their names. */
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Address from "../Address.ts"
import * as AppKey from "../AppKey.ts"
import type { Kem } from "../crypto/Kem.ts"
import type { NoisePrimitives, Primitives } from "../crypto/Primitives.ts"
import * as Deflate from "../deflate/Deflate.ts"
import type { Identity, PublicKey } from "../Identity.ts"
import * as Multiserver from "../Multiserver.ts"
import { empty, type Networks } from "../Networks.ts"
import * as Net from "../net/Net.ts"
import * as Noauth from "../noauth/Noauth.ts"
import * as Noise from "../noise/Noise.ts"
import * as NoisePq from "../noisepq/NoisePq.ts"
import * as Onion from "../onion/Onion.ts"
import * as Shs from "../shs/Shs.ts"
import { reachOf } from "../sockets/ip.ts"
import * as Unix from "../unix/Unix.ts"
import * as WebSocket from "../ws/WebSocket.ts"
import { proving, stacks } from "./spoken.ts"

// -----------------------------------------------------------------------------
// warnings
// -----------------------------------------------------------------------------

/** Transports that anybody on the way can read. */
const plain: ReadonlyArray<string> = ["net", "ws"]

/**
 * Whether anybody on the way can read and change what is sent. On loopback nobody else is on the way. A host name other
 * than `localhost` counts as another machine.
 */
export const isOpen = ({ transforms, transport }: Address.Address): boolean =>
  transforms.length === 0 &&
  plain.includes(transport._tag) &&
  "host" in transport &&
  reachOf(transport.host) !== "device"

/** The warning for an address that `isOpen`. */
export const openWarning = (address: Address.Address) =>
  ({
    event: "warning",
    message:
      `${address} is not encrypted: anybody on the way can read and change what is said; with ` +
      `${proving.map((each) => `~${each}`).join(" or ")} nobody can`
  }) as const

// -----------------------------------------------------------------------------
// layers
// -----------------------------------------------------------------------------

/** Options of the transports for commands that dial. */
export interface Dialing {
  readonly web: WebSocket.SecureOptions
  readonly onion: Onion.Options
}

export interface Options extends Dialing {
  /** The proxies that a listener believes when they say whose connection they forward. */
  readonly trustedProxies?: Networks
  /** Options of all transforms that prove keys. */
  readonly peers?: {
    readonly authorize?: (applicant: { readonly publicKey: PublicKey }) => Effect.Effect<boolean>
  }
  readonly appKey: AppKey.AppKey
}

/** A Multiserver that speaks all of `stacks`. */
export const layer = ({
  appKey,
  onion,
  peers,
  trustedProxies = empty,
  web
}: Options): Layer.Layer<Multiserver.Multiserver, never, Identity | Primitives | NoisePrimitives | Kem> =>
  Multiserver.layer(stacks).pipe(
    Layer.provide([
      Net.layer({ trustedProxies }),
      Unix.layer(),
      Onion.layer(onion),
      WebSocket.layer({ ...web, trustedProxies }),
      WebSocket.layerSecure({ ...web, trustedProxies }),
      Shs.layer(peers),
      Noise.layer(peers),
      NoisePq.layer(peers),
      Noauth.layer(),
      Deflate.layer()
    ]),
    Layer.provide(AppKey.layer(appKey))
  )
