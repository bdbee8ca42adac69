/** Hosts as they stand in addresses: names, IPv4, and IPv6 without brackets, with a zone perhaps. */
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"

const maxLength = 255

const asciiName = /^[A-Za-z0-9._-]+$/
const anyName = /^[\p{L}\p{M}\p{N}._-]+$/u
const ipv6 = /^([0-9A-Fa-f:.]+)(?:%[A-Za-z0-9._-]+)?$/

const isIpv6 = (text: string): boolean => {
  const ip = ipv6.exec(text)?.[1]
  return ip !== undefined && Result.isSuccess(NetAddress.ipv6FromString(ip))
}

const ipv4 = /^\d+\.\d+\.\d+\.\d+$/

/** Whether there are whole URLs. React Native has none that know names beyond ASCII, and lacks `canParse`. */
const hasUrls = (): boolean => typeof URL === "function" && typeof URL.canParse === "function"

/**
 * A name as DNS is asked for it: letters beyond ASCII become `xn--` and, where they only look different, ASCII. What a
 * URL takes for an IP address then is none: one is written in ASCII. Where there are no URLs, a name beyond ASCII is
 * none either: it has to be written as `xn--`.
 */
const toAscii = (name: string): string | undefined => {
  if (asciiName.test(name)) return name
  const url = `ws://${name}`
  const ascii = anyName.test(name) && hasUrls() && URL.canParse(url) ? new URL(url).hostname : ""
  return asciiName.test(ascii) && !ipv4.test(ascii) ? ascii : undefined
}

/**
 * What a text is as a host. `onion` names must never reach DNS, however they are written: `ｏnion` is looked up as
 * `onion`, and is no host at all.
 */
export const kindOfHost = (text: string): "clear" | "onion" | undefined => {
  if (text.length > maxLength) return undefined
  if (text.includes(":")) return isIpv6(text) ? "clear" : undefined
  const ascii = toAscii(text)
  if (ascii === undefined) return undefined
  if (!/\.onion\.*$/i.test(ascii)) return "clear"
  return ascii === text ? "onion" : undefined
}

/** The host as URLs have it: ASCII, in lower case up to an IPv6 zone. What is no host stays none. */
export const toUrlHost = (host: string): string =>
  host.includes(":") ? host.replace(/^[^%]*/, (ip) => ip.toLowerCase()) : (toAscii(host) ?? host).toLowerCase()
