/** Web pages, named by their origins. */
import * as Effect from "effect/Effect"
import { isOrigin } from "../ws/origin.ts"
import { UsageError } from "./exit.ts"

/** Checks the values of `--origin`. They stay as they are, because origins are compared character by character. */
export const parse = <const Texts extends ReadonlyArray<string>>(texts: Texts): Effect.Effect<Texts, UsageError> =>
  texts.every(isOrigin)
    ? Effect.succeed(texts)
    : Effect.fail(
        new UsageError({
          kind: "BadValue",
          message: "--origin takes an origin as browsers write it, such as https://app.example, without a path"
        })
      )
