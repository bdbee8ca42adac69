/** The names by which clients call a ws or wss listener. */
import * as Effect from "effect/Effect"
import { UsageError } from "./exit.ts"

/** HOST or [IPv6], as in the Host header of a request, without a port. */
const isHost = (text: string): boolean => /^([^\s/?#@:[\]]+|\[[0-9a-f:.]+\])$/i.test(text)

/** Checks the values of `--host`. */
export const parse = (texts: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, UsageError> =>
  texts.every(isHost)
    ? Effect.succeed(texts)
    : Effect.fail(
        new UsageError({
          kind: "BadValue",
          message: "--host takes a host by which clients call this server, such as app.example or [::1], without a port"
        })
      )
