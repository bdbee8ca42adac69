/** App keys: 32 bytes that name a network, in shs and noise. Peers with another one can't even talk. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { decodeExactly } from "./crypto/exactBase64.ts"

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

/** An app key from configuration, base64 of 32 bytes; by default `MULTISERVER_APP_KEY`. */
export const configAppKey = (
  config: Config.Config<Redacted.Redacted<string>> = Config.Redacted("MULTISERVER_APP_KEY")
): Config.Config<AppKey> =>
  config.pipe(
    Config.mapEffect((text) => {
      const appKey = parseAppKey(Redacted.value(text))
      return appKey === undefined ? Effect.fail(new Config.ConfigError(notAnAppKey)) : Effect.succeed(appKey)
    })
  )
const notAnAppKey = new Schema.SchemaError(
  new SchemaIssue.InvalidValue({ message: "expected base64 of a 32-byte app key" })
)
