/** Web pages, named by their origins. */
import * as Effect from "effect/Effect"
import { UsageError } from "./exit.ts"

/** What browsers send: `null` is a page without an origin, such as one from a file. */
const isOrigin = (text: string): boolean =>
  text === "null" || (URL.canParse(text) && new URL(text).host !== "" && new URL(text).origin === text)

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
