/** Limits from the environment: numbers that an operator sets once need no flags. */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Limits from "../Limits.ts"
import { UsageError } from "./exit.ts"

/** By the variables of docs/limits.md. */
export const limits: Effect.Effect<Limits.LimitValues, UsageError> = Limits.config.pipe(
  Effect.updateService(ConfigProvider.ConfigProvider, ConfigProvider.constantCase),
  Effect.mapError(({ message }) => new UsageError({ kind: "BadValue", message: `MULTISERVER_*: ${message}` }))
)
