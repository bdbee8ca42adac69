/**
 * The variables of the environment, in one table: what is read comes from it, and so does docs/configuration.md.
 *
 * Each one is read by its full name, so that it works under Effect's default `ConfigProvider` as well as under one that
 * writes names in constant case. Reading fails closed. A variable that cannot be read, one that is empty, and one that
 * nobody knows are errors that name it: a misspelled `MULTISERVER_DIAL_DENY_PRIVATE` would allow what it was to deny.
 */
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { printable } from "./printable.ts"

/** How a variable is written. */
export const forms = {
  duration: "a duration such as `10 seconds` or `5 minutes`, or `Infinity`",
  count: "a whole number above 0",
  boolean: "`true` or `false`",
  networks: "IP networks separated by commas, such as `10.0.0.0/8, 2001:db8::/32, 203.0.113.7`",
  appKey: "base64 of a 32-byte app key",
  secret: "base64 of a 32-byte seed or of a 64-byte secret key",
  address: "an address, or several of the same peer joined by `;`"
} as const

/** The commands of `multiserver`. */
export type Command = "keygen" | "listen" | "connect" | "bridge" | "probe" | "address"

/** One variable. */
export interface Variable {
  readonly name: string
  readonly form: keyof typeof forms
  /** What it says. */
  readonly what: string
  /** What holds where it is not set, in the same form where there is one. */
  readonly byDefault: string
  /** What reads it in a program. */
  readonly layer: string
  /** Which commands read it. Others do not look at it. */
  readonly commands: ReadonlyArray<Command>
}

const speaking = ["listen", "connect", "bridge", "probe"] as const
const listening = ["listen", "bridge"] as const
const dialing = ["connect", "bridge", "probe"] as const
const limits = "`Limits.layerConfig`"
const policy = "`Policy.layerConfig`"

/** Each variable that there is. */
export const variables = {
  address: {
    name: "MULTISERVER_ADDRESS",
    form: "address",
    what: "the address of a command that is given none; `bridge` dials it",
    byDefault: "none",
    layer: "",
    commands: ["listen", "connect", "bridge", "probe", "address"]
  },
  secret: {
    name: "MULTISERVER_SECRET",
    form: "secret",
    what: "the identity of a program. The command refuses it: every child process inherits a variable",
    byDefault: "none",
    layer: "`Identity.layerConfig`",
    commands: []
  },
  appKey: {
    name: "MULTISERVER_APP_KEY",
    form: "appKey",
    what: "the key of the network; `--app-key` and `--app-key-file` come before it",
    byDefault: "Secure Scuttlebutt's main network",
    layer: "`AppKey.configAppKey`",
    commands: speaking
  },
  dialAllow: {
    name: "MULTISERVER_DIAL_ALLOW",
    form: "networks",
    what: "the only networks that may be dialed",
    byDefault: "all",
    layer: policy,
    commands: dialing
  },
  dialDeny: {
    name: "MULTISERVER_DIAL_DENY",
    form: "networks",
    what: "networks that may not be dialed",
    byDefault: "none",
    layer: policy,
    commands: dialing
  },
  dialDenyPrivate: {
    name: "MULTISERVER_DIAL_DENY_PRIVATE",
    form: "boolean",
    what: "whether only what is public may be dialed",
    byDefault: "`false`",
    layer: policy,
    commands: dialing
  },
  acceptAllow: {
    name: "MULTISERVER_ACCEPT_ALLOW",
    form: "networks",
    what: "the only networks that may connect",
    byDefault: "all",
    layer: policy,
    commands: listening
  },
  acceptDeny: {
    name: "MULTISERVER_ACCEPT_DENY",
    form: "networks",
    what: "networks that may not connect",
    byDefault: "none",
    layer: policy,
    commands: listening
  },
  trustedProxies: {
    name: "MULTISERVER_TRUSTED_PROXIES",
    form: "networks",
    what: "the proxies that are trusted to say who connects",
    byDefault: "none",
    layer: "`Networks.configTrustedProxies`",
    commands: listening
  },
  handshake: {
    name: "MULTISERVER_HANDSHAKE",
    form: "duration",
    what: "how long all handshakes of a connection may take together",
    byDefault: "`10 seconds`",
    layer: limits,
    commands: speaking
  },
  close: {
    name: "MULTISERVER_CLOSE",
    form: "duration",
    what: "how long connections that close wait for the kernel to take what is pending",
    byDefault: "`1 second`",
    layer: limits,
    commands: speaking
  },
  grace: {
    name: "MULTISERVER_GRACE",
    form: "duration",
    what: "how long the handlers of a listener that stops may go on",
    byDefault: "`5 seconds`",
    layer: limits,
    commands: listening
  },
  idle: {
    name: "MULTISERVER_IDLE",
    form: "duration",
    what: "after how long without a byte in either direction a connection fails",
    byDefault: "`Infinity`",
    layer: limits,
    commands: speaking
  },
  lookup: {
    name: "MULTISERVER_LOOKUP",
    form: "duration",
    what: "how long the look-up of a host name may take",
    byDefault: "`5 seconds`",
    layer: limits,
    commands: dialing
  },
  dialWait: {
    name: "MULTISERVER_DIAL_WAIT",
    form: "duration",
    what: "how long a dial waits for a place, while as many connect as may",
    byDefault: "`30 seconds`",
    layer: limits,
    commands: dialing
  },
  dials: {
    name: "MULTISERVER_DIALS",
    form: "count",
    what: "how many dials may connect at once; more wait",
    byDefault: "`160`",
    layer: limits,
    commands: dialing
  },
  pendingHandshakes: {
    name: "MULTISERVER_PENDING_HANDSHAKES",
    form: "count",
    what: "how many accepted connections may be in their handshakes; above it, one of them makes room",
    byDefault: "`1024`",
    layer: limits,
    commands: listening
  },
  connections: {
    name: "MULTISERVER_CONNECTIONS",
    form: "count",
    what: "how many connections there may be",
    byDefault: "as many as there are file descriptors for",
    layer: limits,
    commands: listening
  },
  sourceConnections: {
    name: "MULTISERVER_SOURCE_CONNECTIONS",
    form: "count",
    what: "how many accepted connections one source may have",
    byDefault: "`64`",
    layer: limits,
    commands: listening
  },
  sourceRate: {
    name: "MULTISERVER_SOURCE_RATE",
    form: "count",
    what: "how many newcomers that say something one source may send in a second",
    byDefault: "`250`",
    layer: limits,
    commands: listening
  },
  exemptLoopback: {
    name: "MULTISERVER_EXEMPT_LOOPBACK",
    form: "boolean",
    what: "whether the two limits on sources leave out loopback",
    byDefault: "`true`",
    layer: limits,
    commands: listening
  }
} as const satisfies Record<string, Variable>

const all: ReadonlyArray<Variable> = Object.values(variables)

/** The variable of this name. */
export const named = (name: string): Variable | undefined => all.find((variable) => variable.name === name)

// -----------------------------------------------------------------------------
// reading
// -----------------------------------------------------------------------------

/** An error of configuration. It never holds a value, because that may be a secret at the wrong place. */
export const invalid = (message: string): Config.ConfigError =>
  new Config.ConfigError(new Schema.SchemaError(new SchemaIssue.InvalidValue({ message })))

/** The error of a variable that cannot be read. Without a reason, it says what the variable takes. */
export const unreadable = ({ form, name }: Variable, why?: string): Config.ConfigError =>
  invalid(`${name}: ${why ?? `it takes ${forms[form].replaceAll("`", "")}`}`)

/** What the config of a variable says; where it is not set, the other value. */
const read = <A, B>(variable: Variable, config: Config.Config<A>, otherwise: B): Config.Config<A | B> =>
  config.pipe(
    Config.withDefault(otherwise),
    Config.orElse(({ cause }) => Config.fail(cause._tag === "SourceError" ? cause : unreadable(variable).cause))
  )

export const readDuration = (variable: Variable, otherwise: Duration.Duration): Config.Config<Duration.Duration> =>
  read(variable, Config.schema(Schema.DurationFromString.check(notNegative), variable.name), otherwise)
const notNegative = Schema.makeFilter((duration: Duration.Duration) => !Duration.isNegative(duration))

export const readCount = (variable: Variable, otherwise: number): Config.Config<number> =>
  read(variable, Config.schema(count, variable.name), otherwise)
const count = Schema.NumberFromString.check(Schema.isInt(), Schema.isGreaterThan(0))

export const readBoolean = (variable: Variable, otherwise: boolean): Config.Config<boolean> =>
  read(variable, Config.Boolean(variable.name), otherwise)

/** Reads it by a parser whose error says why, so that it need not say what the variable takes. */
export const readBy = <A, B>(
  variable: Variable,
  parse: (text: string) => Result.Result<A, { readonly message: string }>,
  otherwise: B
): Config.Config<A | B> =>
  read(variable, Config.String(variable.name), undefined).pipe(
    Config.mapEffect((text): Effect.Effect<A | B, Config.ConfigError> => {
      if (text === undefined) return Effect.succeed(otherwise)
      return Effect.fromResult(Result.mapError(parse(text), ({ message }) => unreadable(variable, message)))
    })
  )

// -----------------------------------------------------------------------------
// checking
// -----------------------------------------------------------------------------

/** A variable of the environment that begins as ours do. */
interface Found {
  readonly name: string
  /** Set, but to nothing: for Effect's provider it is not there. */
  readonly isEmpty: boolean
}

const prefix = "MULTISERVER"

/** On Windows names mean the same in any case, but are read in one. So another case is a name that nobody knows. */
const isOurs = (name: string): boolean => name.toUpperCase().startsWith(`${prefix}_`)

/** Effect's provider of the environment has names as paths, cut at each `_`. */
const foundBelow = (
  provider: ConfigProvider.ConfigProvider,
  path: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<Found>, ConfigProvider.SourceError> =>
  Effect.flatMap(provider.load(path), (node) => {
    const name = path.join("_")
    if (node === undefined) return Effect.succeed([{ name, isEmpty: true }])
    const own = node.value !== undefined && path.length > 1 ? [{ name, isEmpty: false }] : []
    if (node._tag === "Value") return Effect.succeed(own)
    if (node._tag === "Array") return Effect.succeed([...own, { name: `${name}_${node.length - 1}`, isEmpty: false }])
    return Effect.map(
      Effect.forEach(node.keys, (key) => foundBelow(provider, [...path, key])),
      (below) => [...own, ...below.flat()]
    )
  })

/** The variables that begin as ours do, of a provider that can list what it has. */
const found: Effect.Effect<ReadonlyArray<Found>, Config.ConfigError> = Effect.gen(function* () {
  const provider = yield* ConfigProvider.ConfigProvider
  const root = yield* provider.load([])
  const keys = root?._tag === "Record" ? [...root.keys] : []
  const below = keys.includes(prefix) ? yield* foundBelow(provider, [prefix]) : []
  const whole = yield* Effect.forEach(keys.filter(isOurs), (name) =>
    Effect.map(provider.load([name]), (node): Found => ({ name, isEmpty: node === undefined }))
  )
  // Of another provider than the environment's, what is below a key is not what its whole name is.
  const unread = yield* Effect.filter(below, ({ isEmpty, name }) =>
    Effect.map(provider.load([name]), (node) => !isEmpty && node === undefined)
  )
  // The first parts of names in another case, and objects of this name: nothing is read there.
  const others = yield* Effect.filter(
    keys.filter((key) => key !== prefix && key.toUpperCase() === prefix),
    (name) => Effect.map(provider.load([name]), (node) => node?._tag !== "Value")
  )
  const elsewhere = [...unread.map(({ name }) => name.replace("_", ".")), ...others.map((name) => `${name}_*`)]
  return [...elsewhere.map((name): Found => ({ name, isEmpty: false })), ...below, ...whole]
}).pipe(Effect.mapError((error) => new Config.ConfigError(error)))

/** Fails when a variable is set that nobody knows, or one of these is empty. */
export const check = (reads: (variable: Variable) => boolean): Effect.Effect<void, Config.ConfigError> =>
  Effect.flatMap(found, (names) => {
    const unknown = names.find(({ name }) => named(name) === undefined)
    if (unknown !== undefined) {
      const name = printable(unknown.name, 80)
      return Effect.fail(
        invalid(`${name}: there is no such variable; docs/configuration.md lists those that there are`)
      )
    }
    const empty = names.find(({ isEmpty, name }) => isEmpty && all.some((each) => each.name === name && reads(each)))
    if (empty === undefined) return Effect.void
    return Effect.fail(invalid(`${empty.name}: it is empty; unset it, or give it a value`))
  })
