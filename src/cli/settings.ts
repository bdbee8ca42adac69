/** What a command reads from the environment: the variables of docs/configuration.md that are for it, and no others. */

import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as AppKey from "../AppKey.ts"
import * as Configuration from "../Configuration.ts"
import * as Limits from "../Limits.ts"
import type * as Networks from "../Networks.ts"
import * as Policy from "../Policy.ts"
import * as TlsFiles from "../tlsFiles.ts"
import { type Command, named, readPath, variables } from "../variables.ts"
import { configOrigins } from "../ws/WebSocket.ts"
import * as Durations from "./durations.ts"
import { checkVariables, unusable } from "./environment.ts"
import type { UsageError } from "./exit.ts"

export interface Input {
  readonly idle: Option.Option<string>
}

export interface Settings {
  readonly limits: Limits.LimitValues
  readonly policy: Policy.Reloadable
  readonly trustedProxies: Networks.Networks
  readonly appKey: AppKey.AppKey
  readonly keyFile: string | undefined
  readonly allowed: Policy.Keys | undefined
  readonly origins: ReadonlyArray<string> | undefined
  readonly tls: TlsFiles.TlsFiles
}

/** The environment without the variables of other commands, so that a bad value in one of them does no harm here. */
const onlyFor = (command: Command, provider: ConfigProvider.ConfigProvider): ConfigProvider.ConfigProvider =>
  ConfigProvider.make((path) => {
    const variable = named(path.join("_"))
    return variable?.commands.includes(command) === false ? Effect.undefined : provider.load(path)
  })

/**
 * Reads all variables for this command. Fails when an unknown one is set, or one whose value can't be read. A flag
 * comes before its variable.
 */
export const read = (command: Command, flags?: Input): Effect.Effect<Settings, UsageError> =>
  Effect.gen(function* () {
    const asked = flags?.idle ?? Option.none()
    const idle = Option.isSome(asked) ? yield* Durations.parse("--idle", asked.value, 1) : undefined
    yield* checkVariables(command)
    const provider = yield* ConfigProvider.ConfigProvider
    const own = Config.all({
      limits: Configuration.limits,
      policy: Configuration.policy,
      trustedProxies: Configuration.trustedProxies,
      appKey: Config.withDefault(Configuration.appKey(), AppKey.mainNetwork),
      keyFile: readPath(variables.keyFile),
      allowed: Configuration.allowedKeys,
      origins: configOrigins,
      tls: TlsFiles.config
    })
    const { policy, ...rest } = yield* own.parse(onlyFor(command, provider))
    const limits = idle === undefined ? rest.limits : { ...rest.limits, idle }
    return { ...rest, limits, policy: yield* Policy.make(policy) }
  }).pipe(
    Effect.catchTag("ConfigError", ({ cause }) => Effect.fail(unusable(cause.message))),
    Effect.catchTag("NetworkError", ({ message }) => Effect.fail(unusable(message)))
  )

/** The limits and the policy as a layer, for commands that only dial. */
export const layer = ({ limits, policy }: Settings): Layer.Layer<never> =>
  Layer.merge(Layer.succeed(Limits.Limits, limits), Layer.succeed(Policy.Policy, policy.rules))
