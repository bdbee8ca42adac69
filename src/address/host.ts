/** Hosts in addresses: names, IPv4, and IPv6 without brackets, which may have a zone. */
import { isIpv6 } from "./ipv6.ts"

const maxLength = 255

const asciiName = /^[A-Za-z0-9._-]+$/
const anyName = /^[\p{L}\p{M}\p{N}._-]+$/u

/** IPv6, perhaps with a zone after a `%`. */
const isZonedIpv6 = (text: string): boolean => {
  const percent = text.indexOf("%")
  return percent < 0 ? isIpv6(text) : isIpv6(text, percent) && asciiName.test(text.slice(percent + 1))
}

const ipv4 = /^\d+\.\d+\.\d+\.\d+$/

/** Whether the runtime has a complete `URL`. React Native's lacks `canParse`, and can't convert names beyond ASCII. */
const hasUrls = (): boolean => typeof URL === "function" && typeof URL.canParse === "function"

/**
 * A name in the form in which DNS is asked for it; `undefined` if it has none. Letters beyond ASCII become `xn--`, or
 * ASCII where they are only another form of an ASCII letter. If that makes it an IP address, it is rejected: an IP has
 * to be written in ASCII. Without a complete `URL`, a name beyond ASCII is rejected: it has to be written as `xn--`.
 */
const toAscii = (name: string): string | undefined => {
  if (asciiName.test(name)) return name
  const url = `ws://${name}`
  const ascii = anyName.test(name) && hasUrls() && URL.canParse(url) ? new URL(url).hostname : ""
  return asciiName.test(ascii) && !ipv4.test(ascii) ? ascii : undefined
}

const onion = /\.onion\.*$/i

/**
 * The kind of host that a text is; `undefined` if it is not a host. `.onion` names must never reach DNS, however they
 * are written. DNS would be asked for `ｏnion` as `onion`, so `ｏnion` is rejected.
 */
export const kindOfHost = (text: string): "clear" | "onion" | undefined => {
  if (text.length > maxLength) return undefined
  if (asciiName.test(text)) return onion.test(text) ? "onion" : "clear"
  if (text.includes(":")) return isZonedIpv6(text) ? "clear" : undefined
  const ascii = toAscii(text)
  return ascii === undefined || onion.test(ascii) ? undefined : "clear"
}

/** The host as it stands in a URL: ASCII and in lower case, except an IPv6 zone. What is not a host stays so. */
export const toUrlHost = (host: string): string =>
  host.includes(":") ? host.replace(/^[^%]*/, (ip) => ip.toLowerCase()) : (toAscii(host) ?? host).toLowerCase()
