/** The protocols that the command speaks, and its descriptions of them. They are listed only here. */
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Address from "../Address.ts"
import * as AppKey from "../AppKey.ts"
import type { Primitives } from "../crypto/Primitives.ts"
import * as Deflate from "../deflate/Deflate.ts"
import { formatPublicKey, type Identity, type PublicKey } from "../Identity.ts"
import * as Multiserver from "../Multiserver.ts"
import { empty, type Networks } from "../Networks.ts"
import * as Net from "../net/Net.ts"
import * as Noauth from "../noauth/Noauth.ts"
import * as Noise from "../noise/Noise.ts"
import * as Onion from "../onion/Onion.ts"
import * as Stack from "../Stack.ts"
import * as Shs from "../shs/Shs.ts"
import { reachOf } from "../sockets/ip.ts"
import * as Unix from "../unix/Unix.ts"
import * as WebSocket from "../ws/WebSocket.ts"

// -----------------------------------------------------------------------------
// stacks
// -----------------------------------------------------------------------------

/** The transforms that prove who the peer is. */
const proving = ["shs", "noise"] as const

/** For the examples of the help. */
export const exampleTransform = proving[0]
export const exampleAddress = `net:pub.example:8008~${exampleTransform}:KEY`
export const exampleExternal = `wss://pub.example~${exampleTransform}`
export const exampleAddresses = `${exampleAddress};wss://pub.example~${exampleTransform}:KEY`

const transports = ["net", "ws", "wss", "unix", "onion"] as const
const transforms = [...proving.flatMap((each) => [each, `${each}~deflate`] as const), "noauth"] as const

export const stacks = [...transports, ...Stack.product(transports, transforms)]

/** The same in words, which are shorter than the list. */
export const spoken = `${transports.join(", ")}, each alone or with ${transforms.map((each) => `~${each}`).join(", ")}`

export const speaks = ({ stack }: Address.Address): boolean => stacks.some((each) => each === stack)

/** Whether peers of this stack are known by their keys. */
export const authenticates = (stack: string): boolean =>
  stack.split("~").some((name) => proving.some((each) => each === name))

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
}: Options): Layer.Layer<Multiserver.Multiserver, never, Identity | Primitives> =>
  Multiserver.layer(stacks).pipe(
    Layer.provide([
      Net.layer({ trustedProxies }),
      Unix.layer(),
      Onion.layer(onion),
      WebSocket.layer({ ...web, trustedProxies }),
      WebSocket.layerSecure({ ...web, trustedProxies }),
      Shs.layer(peers),
      Noise.layer(peers),
      Noauth.layer(),
      Deflate.layer()
    ]),
    Layer.provide(AppKey.layer(appKey))
  )

// -----------------------------------------------------------------------------
// explanations
// -----------------------------------------------------------------------------

/** The data of a section, by name. A boolean stands for a secret: `true` if the section has it. */
export type Fields = Readonly<Record<string, string | number | boolean>>

/** What the command says about a protocol: what it is for, and the data of a section. */
interface Explanation {
  readonly purpose: string
  readonly fields: (section: Address.Section) => Fields
}

const explained = <Section extends Address.Section>(
  purpose: string,
  Class: abstract new (...args: never) => Section,
  fields: (section: Section) => Fields = () => ({})
): Explanation => ({ purpose, fields: (section) => (section instanceof Class ? fields(section) : {}) })

const keyed = (publicKey: PublicKey | undefined, secrets: Fields): Fields =>
  publicKey === undefined ? {} : { key: formatPublicKey(publicKey), ...secrets }

const encrypted = "encrypted, both sides proved by their keys"

const opaqueFields = ({ data }: Address.Opaque): Fields => (data === "" ? {} : { data })

const explanations: ReadonlyMap<string, Explanation> = new Map([
  ["net", explained("TCP", Address.Net, ({ host, port }) => ({ host, port }))],
  ["ws", explained("WebSocket", Address.Ws, ({ host, path, port }) => ({ host, port, path }))],
  ["wss", explained("WebSocket over TLS", Address.Wss, ({ host, path, port }) => ({ host, port, path }))],
  ["unix", explained("a unix socket", Address.Unix, ({ path }) => ({ path }))],
  ["onion", explained("a Tor onion service", Address.Onion, ({ host, port }) => ({ host, port }))],
  ["memory", explained("within one process", Address.Memory, ({ name }) => ({ name }))],
  ["shs", explained(encrypted, Address.Shs, (own) => keyed(own.publicKey, { seed: own.seed !== undefined }))],
  ["noise", explained(encrypted, Address.Noise, (own) => keyed(own.publicKey, { token: own.token !== undefined }))],
  ["noauth", explained("no encryption, no authentication", Address.Noauth)],
  ["deflate", explained("compression", Address.Opaque, opaqueFields)]
])

/** The explanation of the protocol called `name`. */
export const explanationOf = (name: string): Explanation =>
  explanations.get(name) ?? explained("not known here", Address.Opaque, opaqueFields)
