/** The SOCKS5 proxies that lead to onion services. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Address from "../Address.ts"
import type { Options, ProxyPlace } from "../onion/Onion.ts"
import { UsageError } from "./exit.ts"

/** Reads both forms as addresses: HOST:PORT as that of a `net` address, and unix:PATH as it is. */
const parseOne = (text: string): ReadonlyArray<ProxyPlace> => {
  const parsed = Result.getOrElse(Address.parse(text.startsWith("unix:") ? text : `net:${text}`), () => [])
  return parsed.flatMap(({ transforms, transport }): ReadonlyArray<ProxyPlace> => {
    if (parsed.length !== 1 || transforms.length > 0) return []
    if (transport._tag === "unix") return [{ path: transport.path }]
    return transport._tag === "net" && transport.port > 0 ? [{ host: transport.host, port: transport.port }] : []
  })
}

/** The proxies, as an option of the transport. */
export const parse = (texts: ReadonlyArray<string>): Effect.Effect<Pick<Options, "proxies">, UsageError> => {
  const [first, ...rest] = texts.flatMap(parseOne)
  if (texts.length === 0) return Effect.succeed({})
  if (first !== undefined && rest.length + 1 === texts.length) return Effect.succeed({ proxies: [first, ...rest] })
  return Effect.fail(
    new UsageError({ kind: "BadValue", message: "--socks takes HOST:PORT or unix:PATH, such as 127.0.0.1:9050" })
  )
}
