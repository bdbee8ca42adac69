/**
 * What this process may do: which addresses it dials and which sources it lets connect. Who is let in by key is the
 * transform's `authorize`, for which `makeKeys` makes one. Read where a Multiserver layer is built; what it says may
 * change at any time.
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

/** What is asked before something is dialed or let in. A rule that throws denies. */
export interface PolicyRules {
  /** Before anything is done for an address. `to` is where its transport says that a dial leads. */
  readonly mayDial: (address: Address, to: Destination) => boolean
  /** After name lookup, for each resolved IP: a name that changes its mind gains nothing. */
  readonly mayDialIp: (ip: string, address: Address) => boolean
  /**
   * Before a newcomer's first byte is read. `source` is its IP, or what else its transport knows it by; `undefined`
   * where there is nothing of the kind. `at` is what it has come to.
   */
  readonly mayConnect: (source: string | undefined, at: Below) => boolean
  /** In which order addresses of a peer are dialed: of all that are understood, those that are to be tried. */
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
 * An order by protocols, the preferred first: with `prefer("noise", "shs")` an address of `net~noise` comes before one
 * of `net~shs`, and what has none of them last. Addresses of the same rank stay as they were.
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
  /** Never these. */
  readonly deny?: ReadonlyArray<string>
  /** When given, only these, whatever they are: what leads to no IP is in no list. */
  readonly allow?: ReadonlyArray<string>
}

/** Lists of networks, and an order of protocols. */
export interface Options {
  /**
   * Which IPs may be dialed, as written or as their names resolve; `0.0.0.0` and `::` lead to this device, so they are
   * denied where loopback is. An address that leads to no IP, such as one of a
   * unix socket or an onion service, is denied when there is an allow list, and when the deny list has all that it may
   * lead to: loopback, if its transport reaches this device only.
   */
  readonly dial?: Lists & {
    /**
     * Nothing but what is public: no private, loopback, link-local or otherwise special IP, and no transport that
     * reaches this device or its network only, such as a unix socket. For who dials addresses that others gave it. By
     * default all.
     */
    readonly denyPrivate?: boolean
  }
  /** In which order addresses of a peer are dialed: `prefer("noise", "shs")`. By default as they are. */
  readonly order?: PolicyRules["order"]
  /**
   * Which IPs may connect. Newcomers of unix sockets and memory have none, and may: they are this user's own. Others
   * that have none are denied when there is an allow list, and when the deny list has all that reaches the transport.
   */
  readonly accept?: Lists
}

const parsed = (...texts: ReadonlyArray<string>): Networks.Networks => Result.getOrThrow(Networks.parse(texts))

/**
 * What leads nowhere in public, by IANA's registries of special purposes, or hides an IPv4 address. Of IPv6, 2000::/3
 * is public.
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

/** Whether an IP is one of the public internet. */
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
 * Which reaches may be dialed where a dial leads to no IP. None is in an allow list. A deny list has this device when
 * it has loopback, and what reaches further when nothing of it is left.
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

/** Where a dial of an IP leads: the unspecified one (`0.0.0.0`, `::`) leads to this device. */
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
  /** From now on these. Connections that are open stay; when a network is none, nothing changes. */
  readonly replace: (options: Options) => Effect.Effect<void, Networks.NetworkError>
}

/** Rules from lists of networks. */
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

/** Rules from lists of networks that stay. */
export const layer = (options: Options): Layer.Layer<never, Networks.NetworkError> =>
  Layer.effect(
    Policy,
    Effect.map(make(options), ({ rules }) => rules)
  )

/** `undefined` where it is not set: an empty list of those allowed is nobody. */
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

/** `config` as a layer. It also fails when a variable `MULTISERVER_*` is set that nobody knows, or is empty. */
export const layerConfig: Layer.Layer<never, Config.ConfigError | Networks.NetworkError> = Layer.unwrap(
  Effect.andThen(
    check(({ readBy }) => readBy === "Policy.layerConfig"),
    Effect.map(config, layer)
  )
)

// -----------------------------------------------------------------------------
// lists of keys
// -----------------------------------------------------------------------------

/** One of the keys does not parse. The error names its place in the list, because the text may be something secret. */
export class KeyError extends Schema.TaggedError<KeyError>("effect-multiserver/KeyError")("KeyError", {
  /** Its place in the list, from 0. */
  index: Schema.Number
}) {
  override get message(): string {
    return `number ${this.index + 1} of the allowed keys is no public key: write base64 of 32 bytes`
  }
}

/** The keys that may come in. */
export interface Keys {
  /** `Shs.layer({ authorize: keys.authorize })`, and the same for other transforms that prove keys. */
  readonly authorize: (applicant: { readonly publicKey: PublicKey }) => Effect.Effect<boolean>
  /** From now on these. Connections that are open stay; when one is no key, nothing changes. */
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

/** Lets in these keys and no others. They are public, and who is asked about has proved its own: a set will do. */
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
