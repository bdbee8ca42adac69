/** Hosts in addresses: names, IPv4, and IPv6 without brackets, which may have a zone. */
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

/**
 * The kind of host that a text is; `undefined` if it is not a host. `.onion` names must never reach DNS, however they
 * are written. DNS would be asked for `ｏnion` as `onion`, so `ｏnion` is rejected.
 */
export const kindOfHost = (text: string): "clear" | "onion" | undefined => {
  if (text.length > maxLength) return undefined
  if (text.includes(":")) return isIpv6(text) ? "clear" : undefined
  const ascii = toAscii(text)
  if (ascii === undefined) return undefined
  if (!/\.onion\.*$/i.test(ascii)) return "clear"
  return ascii === text ? "onion" : undefined
}

/** The host as it stands in a URL: ASCII and in lower case, except an IPv6 zone. What is not a host stays so. */
export const toUrlHost = (host: string): string =>
  host.includes(":") ? host.replace(/^[^%]*/, (ip) => ip.toLowerCase()) : (toAscii(host) ?? host).toLowerCase()
