/** What somebody meant who wrote an address as other tools have them. */
import * as Result from "effect/Result"
import * as Address from "../Address.ts"

/** How other tools begin, and what that is here. What has no beginning is `HOST:PORT`. */
const beginnings: ReadonlyArray<readonly [RegExp, string]> = [
  [/^https:\/\//i, "wss://"],
  [/^http:\/\//i, "ws://"],
  [/^tcp:(\/\/)?/i, "net:"],
  [/^/, "net:"]
]

/** A host that is one: a secret on its own, at the wrong place, is none. */
const isHost = (host: string): boolean => /[.:]/.test(host) || host === "localhost"

/** The address that was meant, without its seed; `undefined` when there is nothing to guess. */
export const meant = (text: string): string | undefined => {
  const [beginning, own] = beginnings.find(([each]) => each.test(text)) ?? []
  if (beginning === undefined || own === undefined) return undefined
  const parsed = Address.parse(text.replace(beginning, own))
  if (Result.isFailure(parsed)) return undefined
  const hosts = parsed.success.map(({ transport }) => ("host" in transport ? transport.host : ""))
  return hosts.every(isHost) ? Address.format(parsed.success) : undefined
}

/** The same, to be said after what is wrong. */
export const question = (text: string): string => {
  const address = meant(text)
  return address === undefined ? "" : `; did you mean ${address}?`
}
