/**
 * The PROXY protocol's header, versions 1 and 2. A proxy sends it first on a connection that it forwards, to name the
 * client. Specification: haproxy.org/download/3.0/doc/proxy-protocol.txt
 */
import * as net from "node:net"
import * as NetAddress from "effect/net/NetAddress"
import { parseIp } from "../Networks.ts"

/** Where a connection comes from. */
export interface Source {
  readonly host: string
  readonly port: number
}

/**
 * What the bytes begin with: a header of `length` bytes with the client's address (`undefined` where the proxy gives
 * none), a part of a header, or something else.
 */
export type Header = { readonly length: number; readonly source: Source | undefined } | "incomplete" | "malformed"

/** The longest header that is read: what the specification of version 2 requires every receiver to accept. */
export const maxLength = 536

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1")
/** The longest header of version 1, by its specification. */
const maxLine = 107

/** An IP in the form in which IPs are compared and counted, however the header writes it. */
const written = (ip: string): string | undefined => {
  const address = parseIp(ip)
  return address && NetAddress.formatIp(address)
}

/** Whether both have the same bytes, up to the end of the shorter one. */
const agrees = (bytes: Buffer, expected: Buffer): boolean => {
  const length = Math.min(bytes.length, expected.length)
  return bytes.subarray(0, length).equals(expected.subarray(0, length))
}

export const parse = (bytes: Buffer): Header => {
  if (bytes.length === 0) return "incomplete"
  if (agrees(bytes, signature)) return bytes.length < 16 ? "incomplete" : binary(bytes)
  return agrees(bytes, prefix) ? text(bytes) : "malformed"
}

// -----------------------------------------------------------------------------
// version 1: PROXY TCP4 203.0.113.7 198.51.100.1 4711 8008\r\n
// -----------------------------------------------------------------------------

const prefix = Buffer.from("PROXY ", "latin1")

const text = (bytes: Buffer): Header => {
  const end = bytes.subarray(0, maxLine).indexOf("\r\n")
  if (end < 0) return bytes.length < maxLine ? "incomplete" : "malformed"
  const [, family, host = "", to = "", port = "", toPort = "", ...more] = bytes.toString("latin1", 0, end).split(" ")
  const length = end + 2
  if (family === "UNKNOWN") return { length, source: undefined }
  const version = family === "TCP4" ? 4 : family === "TCP6" ? 6 : undefined
  const source = isIp(host, version) && isIp(to, version) ? written(host) : undefined
  const right = source !== undefined && more.length === 0 && isPort(port) && isPort(toPort)
  return right ? { length, source: { host: source, port: Number(port) } } : "malformed"
}

/** No zone (`%eth0`): it means something on the proxy's machine only, and Node allows any character in it. */
const isIp = (text: string, version: 4 | 6 | undefined): boolean => net.isIP(text) === version && !text.includes("%")

const isPort = (port: string): boolean => /^(0|[1-9]\d{0,4})$/.test(port) && Number(port) <= 65535

// -----------------------------------------------------------------------------
// version 2: signature, version and command, family, length, addresses, extensions
// -----------------------------------------------------------------------------

const binary = (bytes: Buffer): Header => {
  const [command, family] = [bytes.readUInt8(12), bytes.readUInt8(13)]
  const length = 16 + bytes.readUInt16BE(14)
  if (command >> 4 !== 2 || (command & 0xf) > 1 || length > maxLength) return "malformed"
  if (bytes.length < length) return "incomplete"
  // The proxy's own connection, for a health check (LOCAL), or a family without IPs.
  if ((command & 0xf) === 0 || (family !== 0x11 && family !== 0x21)) return { length, source: undefined }
  const width = family === 0x11 ? 4 : 16
  const ports = 16 + 2 * width
  if (length < ports + 4) return "malformed"
  const ip = bytes.subarray(16, 16 + width)
  const address = width === 4 ? NetAddress.ipv4FromBytesUnsafe(ip) : NetAddress.ipv6FromBytesUnsafe(ip)
  const host = written(NetAddress.formatIp(address))
  return host === undefined ? "malformed" : { length, source: { host, port: bytes.readUInt16BE(ports) } }
}
