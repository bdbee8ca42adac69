/**
 * Policy: which addresses this process may dial, and which sources may connect to it. Which keys may come in is decided
 * by a transform's `authorize`, which `makeKeys` can make. Read where a Multiserver layer is built. What the rules
 * answer may change at any time.
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Address } from "./Address.ts"
import { formatPublicKey, type PublicKey, parsePublicKey } from "./Identity.ts"
import * as Networks from "./Networks.ts"
import type { Below, Destination, Reach } from "./Transport.ts"
import { check, readBoolean, readBy, type Variable, variables } from "./variables.ts"

/** The rules that are asked before something is dialed or let in. A rule that throws denies. */
export interface PolicyRules {
  /** Asked first, before anything is done for an address. `to` is where its transport says that a dial leads. */
  readonly mayDial: (address: Address, to: Destination) => boolean
  /** Asked after the name look-up, for each resolved IP, so a name whose IPs change can't get around it. */
  readonly mayDialIp: (ip: string, address: Address) => boolean
  /**
   * Asked before a newcomer's first byte is read; behind a trusted proxy, when the source is known. `source` is the
   * newcomer's IP, or what else its transport knows it by. `undefined`: there is nothing of the kind. `at` is the
   * transport to which it has come.
   */
  readonly mayConnect: (source: string | undefined, at: Below) => boolean
  /** Which of the understood addresses of a peer are dialed, and in what order. */
  readonly order: (understood: ReadonlyArray<Address>) => ReadonlyArray<Address>
}

/** Everything is allowed. */
export const allowAll: PolicyRules = {
  mayDial: () => true,
  mayDialIp: () => true,
  mayConnect: () => true,
  order: (understood) => understood
}

/**
 * An order by protocols, the preferred first. With `prefer("noise", "shs")` an address of `net~noise` comes before one
 * of `net~shs`, and addresses with neither come last. Addresses of the same rank keep their order.
 */
export const prefer =
  (...protocols: ReadonlyArray<string>): PolicyRules["order"] =>
  (understood) => {
    const rank = ({ stack }: Address) => {
      const names = stack.split("~")
      const first = protocols.findIndex((protocol) => names.includes(protocol))
      return first < 0 ? protocols.length : first
    }
    return understood.toSorted((a, b) => rank(a) - rank(b))
  }

/** The rules of a Multiserver, read where its layer is built. By default everything is allowed. */
export const Policy: Context.Reference<PolicyRules> = Context.Reference("effect-multiserver/Policy", {
  defaultValue: () => allowAll
})

// -----------------------------------------------------------------------------
// lists of networks
// -----------------------------------------------------------------------------

/** Networks as CIDRs (`203.0.113.0/24`) or single IPs. */
export interface Lists {
  /** These are always denied. */
  readonly deny?: ReadonlyArray<string>
  /** If given, only these are allowed. What has no IP is in no list. */
  readonly allow?: ReadonlyArray<string>
}

/** Lists of networks, and an order of protocols. */
export interface Options {
  /**
   * Which IPs may be dialed, as written or as their names resolve. `0.0.0.0` and `::` lead to this device, so they are
   * denied where loopback is. An address that leads to no IP, such as one of a unix socket or an onion service, is
   * denied when there is an allow list, and when the deny list has all that it may lead to: loopback, if its transport
   * reaches this device only.
   */
  readonly dial?: Lists & {
    /**
     * Allows only what is public: no private, loopback, link-local or otherwise special IP, and no transport that
     * reaches this device or its network only, such as a unix socket. An IP in the `allow` list is allowed all the
     * same. For programs that dial addresses which others gave them. By default `false`.
     */
    readonly denyPrivate?: boolean
  }
  /** The order in which addresses of a peer are dialed: `prefer("noise", "shs")`. By default they keep their order. */
  readonly order?: PolicyRules["order"]
  /**
   * Which IPs may connect. Newcomers over unix sockets and memory have no IP, and may always connect, because they are
   * this user's own processes. Other newcomers without an IP are denied when there is an allow list, and when the deny
   * list has all IPs within the transport's reach.
   */
  readonly accept?: Lists
}

const parsed = (...texts: ReadonlyArray<string>): Networks.Networks => Result.getOrThrow(Networks.parse(texts))

/**
 * The IPs that are not public by IANA's special-purpose registries, or that hide an IPv4 address. In IPv6, only
 * 2000::/3 is public.
 */
const special = parsed(
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3",
  "::/3",
  "2001::/23",
  "2001:db8::/32",
  "2002::/16",
  "3fff::/20",
  "4000::/2",
  "8000::/1"
)

/** Whether the text is an IP of the public internet. */
export const isPublic = (ip: string): boolean => Networks.parseIp(ip) !== undefined && !Networks.contains(special, ip)

interface Compiled {
  readonly deny: Networks.Networks
  readonly allow: Networks.Networks | undefined
}

const compile = ({ allow, deny = [] }: Lists = {}): Result.Result<Compiled, Networks.NetworkError> =>
  Result.all({
    deny: Networks.parse(deny),
    allow: allow === undefined ? Result.succeed(undefined) : Networks.parse(allow)
  })

const local = parsed("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
const everything = parsed("0.0.0.0/0", "::/0")

/**
 * Which reaches may be dialed where a dial leads to no IP. With an allow list, none. A deny list denies `device` if it
 * contains loopback, and the other reaches if it leaves none of their IPs.
 */
const reachesOf = ({ allow, deny }: Compiled, onlyPublic: boolean): Readonly<Record<Reach, boolean>> => {
  const near = allow === undefined && !onlyPublic
  return {
    device: near && !Networks.contains(deny, "127.0.0.1") && !Networks.contains(deny, "::1"),
    local: near && !Networks.covers(deny, local),
    public: allow === undefined && !Networks.covers(Networks.union(deny, special), everything)
  }
}

const permits = ({ allow, deny }: Compiled, ip: string, otherwise: (ip: string) => boolean): boolean =>
  !Networks.contains(deny, ip) && (allow === undefined ? otherwise(ip) : Networks.contains(allow, ip))

const anything = () => true

/** The IPs to which a dial of this IP leads. The unspecified IP (`0.0.0.0`, `::`) leads to this device. */
const leadsTo = (ip: string): ReadonlyArray<string> => {
  const address = Networks.parseIp(ip)
  return address !== undefined && NetAddress.isUnspecified(address) ? [ip, "127.0.0.1", "::1"] : [ip]
}

const rulesOf = ({
  accept,
  dial,
  order = allowAll.order
}: Options): Result.Result<PolicyRules, Networks.NetworkError> =>
  Result.map(Result.all({ accept: compile(accept), dial: compile(dial) }), (lists): PolicyRules => {
    const onlyPublic = dial?.denyPrivate === true
    const reaches = reachesOf(lists.dial, onlyPublic)
    const accepts = reachesOf(lists.accept, false)
    return {
      mayDial: (_, { reach, toIps }) => toIps || reaches[reach],
      mayDialIp: (ip) => leadsTo(ip).every((each) => permits(lists.dial, each, onlyPublic ? isPublic : anything)),
      mayConnect: (source, { reach, trusted }) =>
        source !== undefined && Networks.parseIp(source) !== undefined
          ? permits(lists.accept, source, anything)
          : (source === undefined && trusted) || accepts[reach],
      order
    }
  })

/** Rules whose lists can be replaced. */
export interface Reloadable {
  /** For `Layer.succeed(Policy, rules)`. */
  readonly rules: PolicyRules
  /** Replaces the lists. Open connections stay. If a text is not a network, it fails and changes nothing. */
  readonly replace: (options: Options) => Effect.Effect<void, Networks.NetworkError>
}

/** Rules from lists of networks, which can be replaced. */
export const make = (options: Options): Effect.Effect<Reloadable, Networks.NetworkError> =>
  Effect.map(Effect.fromResult(rulesOf(options)), (initial) => {
    let current = initial
    return {
      rules: {
        mayDial: (address, to) => current.mayDial(address, to),
        mayDialIp: (ip, address) => current.mayDialIp(ip, address),
        mayConnect: (source, at) => current.mayConnect(source, at),
        order: (understood) => current.order(understood)
      },
      replace: (next) =>
        Effect.map(Effect.fromResult(rulesOf(next)), (rules) => {
          current = rules
        })
    }
  })

/** Rules from lists of networks, which stay the same. */
export const layer = (options: Options): Layer.Layer<never, Networks.NetworkError> =>
  Layer.effect(
    Policy,
    Effect.map(make(options), ({ rules }) => rules)
  )

/** `undefined` where the variable is not set, because an empty allow list would allow nothing. */
const list = (variable: Variable) =>
  Config.map(readBy(variable, Networks.parseList, undefined), (networks) => networks && Networks.format(networks))

const lists = ({
  allow,
  deny
}: {
  readonly allow: ReadonlyArray<string> | undefined
  readonly deny: ReadonlyArray<string> | undefined
}): Lists => ({ ...(allow && { allow }), deny: deny ?? [] })

/**
 * Rules from the variables of docs/configuration.md: `MULTISERVER_DIAL_ALLOW`, `MULTISERVER_DIAL_DENY`,
 * `MULTISERVER_ACCEPT_ALLOW` and `MULTISERVER_ACCEPT_DENY`, networks separated by commas, and
 * `MULTISERVER_DIAL_DENY_PRIVATE` (`true`).
 */
export const config: Config.Config<Options> = Config.all({
  dial: Config.all({
    lists: Config.map(Config.all({ allow: list(variables.dialAllow), deny: list(variables.dialDeny) }), lists),
    denyPrivate: readBoolean(variables.dialDenyPrivate, false)
  }).pipe(Config.map((own) => ({ ...own.lists, denyPrivate: own.denyPrivate }))),
  accept: Config.map(Config.all({ allow: list(variables.acceptAllow), deny: list(variables.acceptDeny) }), lists)
})

/**
 * `config` as a layer. Also fails when an unknown variable `MULTISERVER_*` is set, or when one that it reads is empty.
 */
export const layerConfig: Layer.Layer<never, Config.ConfigError | Networks.NetworkError> = Layer.unwrap(
  Effect.andThen(
    check(({ readBy }) => readBy === "Policy.layerConfig"),
    Effect.map(config, layer)
  )
)

// -----------------------------------------------------------------------------
// lists of keys
// -----------------------------------------------------------------------------

/** One of the keys does not parse. The error names its place in the list and not its text, which may be a secret. */
export class KeyError extends Schema.TaggedError<KeyError>("effect-multiserver/KeyError")("KeyError", {
  /** Its place in the list, from 0. */
  index: Schema.Number
}) {
  override get message(): string {
    return `number ${this.index + 1} of the allowed keys is not a public key: write base64 of 32 bytes`
  }
}

/** The public keys that may come in. */
export interface Keys {
  /** `Shs.layer({ authorize: keys.authorize })`, and the same for other transforms that prove keys. */
  readonly authorize: (applicant: { readonly publicKey: PublicKey }) => Effect.Effect<boolean>
  /** Replaces the keys. Open connections stay. If a text is not a public key, it fails and changes nothing. */
  readonly replace: (keys: ReadonlyArray<string | PublicKey>) => Effect.Effect<void, KeyError>
}

const keySet = (keys: ReadonlyArray<string | PublicKey>): Result.Result<ReadonlySet<string>, KeyError> =>
  Result.map(
    Result.all(
      keys.map((key, index) => {
        const parsed = typeof key === "string" ? parsePublicKey(key) : key
        return parsed === undefined ? Result.fail(new KeyError({ index })) : Result.succeed(formatPublicKey(parsed))
      })
    ),
    (texts) => new Set(texts)
  )

/** Lets in these keys and no others. They are public, and the applicant has proved its own, so a plain set is safe. */
export const makeKeys = (keys: ReadonlyArray<string | PublicKey>): Effect.Effect<Keys, KeyError> =>
  Effect.map(Effect.fromResult(keySet(keys)), (initial) => {
    let current = initial
    return {
      authorize: ({ publicKey }) => Effect.sync(() => current.has(formatPublicKey(publicKey))),
      replace: (next) =>
        Effect.map(Effect.fromResult(keySet(next)), (own) => {
          current = own
        })
    }
  })
