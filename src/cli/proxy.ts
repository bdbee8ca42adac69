/** The HTTP proxy that leads to ws and wss. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as HttpProxy from "../ws/HttpProxy.ts"
import { UsageError } from "./exit.ts"

const wrong = (message: string) => new UsageError({ kind: "BadValue", message })

/** The proxies of the flag. A password in it is refused, because every user of this machine can read the arguments. */
export const parse = (given: Option.Option<string>): Effect.Effect<HttpProxy.Proxies, UsageError> => {
  if (Option.isNone(given)) return Effect.succeed({})
  if (given.value === "env") return Effect.mapError(HttpProxy.config, ({ cause }) => wrong(cause.message))
  const proxy = HttpProxy.parse(given.value)
  if (Result.isFailure(proxy)) return Effect.fail(wrong(`--proxy: ${proxy.failure.message}`))
  return proxy.success.credentials === undefined
    ? Effect.succeed({ ws: proxy.success, wss: proxy.success })
    : Effect.fail(
        wrong(
          "--proxy: every user of this machine can read a password there; put the URL in HTTPS_PROXY, and " +
            "take --proxy env"
        )
      )
}
