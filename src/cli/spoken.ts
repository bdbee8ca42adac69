/** What the command speaks, in names and words. What is behind the names is `stacks.ts`, which few commands load. */
import * as Address from "../Address.ts"
import { formatPublicKey, type PublicKey } from "../crypto/publicKey.ts"

// -----------------------------------------------------------------------------
// stacks
// -----------------------------------------------------------------------------

/** The transforms that prove who the peer is. */
export const proving = ["shs", "noise", "noisepq"] as const

/** For the examples of the help. */
export const exampleTransform = proving[0]
export const exampleAddress = `net:pub.example:8008~${exampleTransform}:KEY`
export const exampleExternal = `wss://pub.example~${exampleTransform}`
export const exampleTracker = `net:tracker.example:8010~${exampleTransform}:KEY`
export const examplePeer = "peer:KEY"
export const exampleAddresses = `${exampleAddress};wss://pub.example~${exampleTransform}:KEY`

const transports = ["net", "ws", "wss", "unix", "onion"] as const
const transforms = [...proving.flatMap((each) => [each, `${each}~deflate`] as const), "noauth"] as const

export const stacks = [
  ...transports,
  ...transports.flatMap((under) => transforms.map((over) => `${under}~${over}` as const))
]

/** The same in words, which are shorter than the list. */
export const spoken = `${transports.join(", ")}, each alone or with ${transforms.map((each) => `~${each}`).join(", ")}`

export const speaks = (address: Address.Address): boolean =>
  isPeer(address) || stacks.some((each) => each === address.stack)

/** Whether it is `peer:KEY`, whose addresses are looked up. */
export const isPeer = ({ transport }: Address.Address): boolean =>
  transport._tag === "opaque" && transport.name === "peer"

/** Whether peers of this stack are known by their keys. */
export const authenticates = (stack: string): boolean =>
  stack.split("~").some((name) => proving.some((each) => each === name))

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

const withToken = ({ publicKey, token }: { readonly publicKey?: PublicKey; readonly token?: unknown }): Fields =>
  keyed(publicKey, { token: token !== undefined })

const opaqueFields = ({ data }: Address.Opaque): Fields => (data === "" ? {} : { data })

const peerFields = ({ data }: Address.Opaque): Fields => ({ key: data })

const explanations: ReadonlyMap<string, Explanation> = new Map([
  ["net", explained("TCP", Address.Net, ({ host, port }) => ({ host, port }))],
  ["ws", explained("WebSocket", Address.Ws, ({ host, path, port }) => ({ host, port, path }))],
  ["wss", explained("WebSocket over TLS", Address.Wss, ({ host, path, port }) => ({ host, port, path }))],
  ["unix", explained("a unix socket", Address.Unix, ({ path }) => ({ path }))],
  ["onion", explained("a Tor onion service", Address.Onion, ({ host, port }) => ({ host, port }))],
  ["memory", explained("within one process", Address.Memory, ({ name }) => ({ name }))],
  ["port", explained("another context of one program", Address.MessagePort, ({ name }) => ({ name }))],
  ["peer", explained("a peer by its key, wherever its records say that it is", Address.Opaque, peerFields)],
  ["shs", explained(encrypted, Address.Shs, (own) => keyed(own.publicKey, { seed: own.seed !== undefined }))],
  ["noise", explained(encrypted, Address.Noise, withToken)],
  ["noisepq", explained(`${encrypted}, and secret from who records it now`, Address.NoisePq, withToken)],
  ["noauth", explained("no encryption, no authentication", Address.Noauth)],
  ["deflate", explained("compression", Address.Opaque, opaqueFields)]
])

/** The explanation of the protocol called `name`. */
export const explanationOf = (name: string): Explanation =>
  explanations.get(name) ?? explained("not known here", Address.Opaque, opaqueFields)
