/** The stacks that the command speaks: the one place that lists them. */
import * as Layer from "effect/Layer"
import type { Address } from "../Address.ts"
import type { Primitives } from "../crypto/Primitives.ts"
import * as Deflate from "../deflate/Deflate.ts"
import type { Identity } from "../Identity.ts"
import * as Multiserver from "../Multiserver.ts"
import * as Net from "../net/Net.ts"
import * as Noauth from "../noauth/Noauth.ts"
import * as Noise from "../noise/Noise.ts"
import * as Onion from "../onion/Onion.ts"
import * as Stack from "../Stack.ts"
import * as Shs from "../shs/Shs.ts"
import * as Unix from "../unix/Unix.ts"
import * as WebSocket from "../ws/WebSocket.ts"

const transports = ["net", "ws", "wss", "unix", "onion"] as const
const transforms = ["shs", "shs~deflate", "noise", "noise~deflate", "noauth"] as const

export const stacks = [...transports, ...Stack.product(transports, transforms)]

/** The same in words, because they are many. */
export const spoken = `${transports.join(", ")}, each alone or with ${transforms.map((each) => `~${each}`).join(", ")}`

export const speaks = ({ stack }: Address): boolean => stacks.some((each) => each === stack)

/** The transforms that prove who the peer is. */
const authenticating: ReadonlySet<string> = new Set(["shs", "noise"])

/** Whether peers of this address are known by their key. */
export const authenticates = ({ transforms }: Address): boolean =>
  transforms.some((section) => authenticating.has(section._tag))

/** Options for who dials. */
export interface Dialing {
  readonly web: WebSocket.SecureOptions
  readonly onion: Onion.Options
}

export interface Options extends Dialing {
  /** For shs and noise alike. */
  readonly peers: Pick<Shs.Options<never, Primitives>, "appKey" | "authorize">
}

/** A Multiserver that speaks all of them. */
export const layer = ({
  onion,
  peers,
  web
}: Options): Layer.Layer<Multiserver.Multiserver, never, Identity | Primitives> =>
  Multiserver.layer(stacks).pipe(
    Layer.provide([
      Net.layer,
      Unix.layer,
      Onion.layer(onion),
      WebSocket.layer(web),
      WebSocket.layerSecure(web),
      Shs.layer(peers),
      Noise.layer(peers),
      Noauth.layer(),
      Deflate.layer()
    ])
  )
