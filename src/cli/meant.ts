/** Guesses which address was meant by a text in the form of other tools, such as `https://pub.example`. */
import * as Result from "effect/Result"
import * as Address from "../Address.ts"

/** How addresses of other tools begin, and how they begin here. The last row is for `HOST:PORT`. */
const beginnings: ReadonlyArray<readonly [RegExp, string]> = [
  [/^https:\/\//i, "wss://"],
  [/^http:\/\//i, "ws://"],
  [/^tcp:(\/\/)?/i, "net:"],
  [/^/, "net:"]
]

/** Whether it looks like a host. A secret that was given in place of an address does not, and is not repeated. */
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

/** The guess as a question, to append to an error message. Empty when there is no guess. */
export const question = (text: string): string => {
  const address = meant(text)
  return address === undefined ? "" : `; did you mean ${address}?`
}
