/** Durations as people write them after a flag. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { UsageError } from "./exit.ts"

const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** `1.5s`, `500ms`, `2m`; a bare number is seconds. `least` is the shortest, in milliseconds. */
export const parse = (flag: string, text: string, least = 0): Effect.Effect<Duration.Duration, UsageError> => {
  const [, amount, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? []
  const millis = Number(amount) * (units[unit] ?? 1)
  return millis >= least
    ? Effect.succeed(Duration.millis(millis))
    : Effect.fail(new UsageError({ kind: "BadValue", message: `${flag} takes a duration such as 30s, 500ms or 2m` }))
}
