/** App keys: 32 bytes that name a network, in shs and noise. Peers with another one can't even talk. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { decodeExactly } from "./crypto/exactBase64.ts"
import { forms, invalid, unreadable, variables } from "./variables.ts"

/**
 * 32 bytes that name a network: peers with another one can't even talk. Public for most networks, so not a password.
 */
export type AppKey = Redacted.Redacted<Uint8Array>

/** The app key of Secure Scuttlebutt's main network. */
export const mainNetwork: AppKey = Redacted.make(
  Result.getOrThrow(Base64.decode("1KHLiKZvAvjbY1ziZEHMXawbCEIM6qwjCDm3VYRan/s=")),
  { label: "app key" }
)

/** An app key from base64 of 32 bytes; `undefined` when it is none. */
export const parseAppKey = (text: string): AppKey | undefined => {
  const bytes = decodeExactly(text, 32)
  return bytes === undefined ? undefined : Redacted.make(bytes, { label: "app key" })
}

const fromVariable = Config.Redacted(variables.appKey.name)

/** An app key from configuration, base64 of 32 bytes; by default `MULTISERVER_APP_KEY`. */
export const configAppKey = (config: Config.Config<Redacted.Redacted<string>> = fromVariable): Config.Config<AppKey> =>
  config.pipe(
    Config.mapEffect((text) => {
      const appKey = parseAppKey(Redacted.value(text))
      if (appKey !== undefined) return Effect.succeed(appKey)
      return Effect.fail(config === fromVariable ? unreadable(variables.appKey) : invalid(`expected ${forms.appKey}`))
    })
  )
