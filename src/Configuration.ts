/**
 * What programs read from environment variables `MULTISERVER_*`; docs/configuration.md lists them. It is a module of
 * its own, because Effect's `Config` uses `import.meta`, which engines such as React Native's refuse. Configurations
 * that only Node has are beside what they configure: `NodeMultiserver.layerConfig` contains all.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Address from "./Address.ts"
import * as AppKey from "./AppKey.ts"
import type { Primitives } from "./crypto/Primitives.ts"
import * as Identity from "./Identity.ts"
import * as Limits from "./Limits.ts"
import * as Networks from "./Networks.ts"
import * as Policy from "./Policy.ts"
import {
  check,
  forms,
  invalid,
  readBoolean,
  readBy,
  readCount,
  readDuration,
  readTexts,
  unreadable,
  type Variable,
  variables
} from "./variables.ts"

// -----------------------------------------------------------------------------
// the app key and the identity
// -----------------------------------------------------------------------------

const appKeyVariable = Config.Redacted(variables.appKey.name)

/**
 * An app key from configuration, base64 of 32 bytes; by default `MULTISERVER_APP_KEY`.
 *
 * @category configuration
 * @since 0.1.0
 */
export const appKey = (
  source: Config.Config<Redacted.Redacted<string>> = appKeyVariable
): Config.Config<AppKey.AppKey> =>
  source.pipe(
    Config.mapEffect((text) =>
      Option.match(AppKey.parse(Redacted.value(text)), {
        onSome: Effect.succeed,
        onNone: () =>
          Effect.fail(source === appKeyVariable ? unreadable(variables.appKey) : invalid(`expected ${forms.appKey}`))
      })
    )
  )

/**
 * Reads the app key from the variable `MULTISERVER_APP_KEY`, base64 of 32 bytes. Without the variable it is the main
 * network's. Fails when the variable is set to anything else.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerAppKey: Layer.Layer<never, Config.ConfigError> = Layer.effect(
  AppKey.AppKey,
  Effect.andThen(
    check(({ readBy }) => readBy === "Configuration.layerAppKey"),
    Config.withDefault(appKey(), AppKey.mainNetwork)
  )
)

const secretVariable = Config.Redacted(variables.secret.name)

/**
 * The identity in a configuration value, by default `MULTISERVER_SECRET`: base64 of a 32-byte seed, or `private` of a
 * secret file (64 bytes). Also fails when an unknown variable `MULTISERVER_*` is set, or when `MULTISERVER_SECRET` is
 * empty.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerIdentity = (
  config: Config.Config<Redacted.Redacted<string>> = secretVariable
): Layer.Layer<Identity.Identity, Identity.IdentityError | Config.ConfigError, Primitives> =>
  Layer.effect(
    Identity.Identity,
    Effect.gen(function* () {
      yield* check((variable) => variable === variables.secret)
      const source = config === secretVariable ? variables.secret.name : "configuration"
      return yield* Identity.parseSecret(source, yield* config)
    })
  )

// -----------------------------------------------------------------------------
// limits
// -----------------------------------------------------------------------------

/**
 * Limits from the variables of docs/configuration.md: `MULTISERVER_HANDSHAKE` and the other durations (`10 seconds`),
 * `MULTISERVER_PENDING_HANDSHAKES` and the other counts, and `MULTISERVER_EXEMPT_LOOPBACK` (`false`).
 *
 * @category configuration
 * @since 0.1.0
 */
export const limits: Config.Config<Limits.LimitValues> = Config.all({
  handshake: readDuration(variables.handshake, Limits.defaults.handshake),
  close: readDuration(variables.close, Limits.defaults.close),
  grace: readDuration(variables.grace, Limits.defaults.grace),
  idle: readDuration(variables.idle, Limits.defaults.idle),
  lookup: readDuration(variables.lookup, Limits.defaults.lookup),
  dialWait: readDuration(variables.dialWait, Limits.defaults.dialWait),
  dials: readCount(variables.dials, Limits.defaults.dials),
  pendingHandshakes: readCount(variables.pendingHandshakes, Limits.defaults.pendingHandshakes),
  connections: readCount(variables.connections, Limits.defaults.connections),
  sourceConnections: readCount(variables.sourceConnections, Limits.defaults.sourceConnections),
  sourceRate: readCount(variables.sourceRate, Limits.defaults.sourceRate),
  exemptLoopback: readBoolean(variables.exemptLoopback, Limits.defaults.exemptLoopback)
})

/**
 * `limits` as a layer. Also fails when an unknown variable `MULTISERVER_*` is set, or when one that it reads is empty.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerLimits: Layer.Layer<never, Config.ConfigError> = Layer.effect(
  Limits.Limits,
  Effect.andThen(
    check(({ readBy }) => readBy === "Configuration.layerLimits"),
    limits
  )
)

// -----------------------------------------------------------------------------
// policy
// -----------------------------------------------------------------------------

/** `undefined` where the variable is not set, because an empty allow list would allow nothing. */
const list = (variable: Variable) =>
  Config.map(readBy(variable, Networks.parseList, undefined), (networks) => networks && Networks.format(networks))

const lists = ({
  allow,
  deny
}: {
  readonly allow: ReadonlyArray<string> | undefined
  readonly deny: ReadonlyArray<string> | undefined
}): Policy.Lists => ({ ...(allow && { allow }), deny: deny ?? [] })

/**
 * Rules from the variables of docs/configuration.md: `MULTISERVER_DIAL_ALLOW`, `MULTISERVER_DIAL_DENY`,
 * `MULTISERVER_ACCEPT_ALLOW` and `MULTISERVER_ACCEPT_DENY`, networks separated by commas, and
 * `MULTISERVER_DIAL_DENY_PRIVATE` (`true`).
 *
 * @category configuration
 * @since 0.1.0
 */
export const policy: Config.Config<Policy.Options> = Config.all({
  dial: Config.all({
    lists: Config.map(Config.all({ allow: list(variables.dialAllow), deny: list(variables.dialDeny) }), lists),
    denyPrivate: readBoolean(variables.dialDenyPrivate, false)
  }).pipe(Config.map((own) => ({ ...own.lists, denyPrivate: own.denyPrivate }))),
  accept: Config.map(Config.all({ allow: list(variables.acceptAllow), deny: list(variables.acceptDeny) }), lists)
})

/**
 * `policy` as a layer. Also fails when an unknown variable `MULTISERVER_*` is set, or when one that it reads is empty.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPolicy: Layer.Layer<never, Config.ConfigError | Networks.NetworkError> = Layer.unwrap(
  Effect.andThen(
    check(({ readBy }) => readBy === "Configuration.layerPolicy"),
    Effect.map(policy, Policy.layer)
  )
)

/**
 * The keys that may come in, from `MULTISERVER_ALLOWED_KEYS`. `undefined`: the variable is not set, so every key may.
 *
 * @category configuration
 * @since 0.1.0
 */
export const allowedKeys: Config.Config<Policy.Keys | undefined> = readTexts(variables.allowedKeys).pipe(
  Config.mapEffect((texts) =>
    texts === undefined
      ? Effect.undefined
      : Effect.mapError(Policy.makeKeys(texts), ({ message }) => unreadable(variables.allowedKeys, message))
  )
)

// -----------------------------------------------------------------------------
// listening
// -----------------------------------------------------------------------------

/**
 * The proxies that are trusted to say who connects, from `MULTISERVER_TRUSTED_PROXIES`. By default none.
 *
 * @category configuration
 * @since 0.1.0
 */
export const trustedProxies: Config.Config<Networks.Networks> = readBy(
  variables.trustedProxies,
  Networks.parseList,
  Networks.empty
)

/**
 * The addresses to listen on, from `MULTISERVER_LISTEN`, for `Multiserver.listen`, `serve` and `layerServer`. Where the
 * variable is not set, it fails as Effect's own `Config`s do, so `Config.withDefault` gives it a default.
 *
 * @category configuration
 * @since 0.1.0
 */
export const listen: Config.Config<Address.MultiAddress> = readBy(variables.listen, Address.parse, undefined).pipe(
  Config.mapEffect((addresses) =>
    addresses === undefined
      ? Effect.fail(unreadable(variables.listen, "it is not set; name the addresses to listen on"))
      : Effect.succeed(addresses)
  )
)
