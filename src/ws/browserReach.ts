/**
 * How far a host reaches. The modules that say so on Node would make a page that only dials larger by 8 kB.
 * `test/ws/browserReach.test.ts` compares the answers with theirs.
 */
import type { Reach } from "../Transport.ts"

const octet = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
/** No leading zeros: a platform reads them as octal, so that `012.0.0.1` leads to 10.0.0.1. */
const ipv4 = new RegExp(`^${[octet, octet, octet, octet].join("\\.")}$`)

const ofIpv4 = (first: number, second: number): Reach => {
  if (first === 127) return "device"
  const isPrivate = first === 10 || (first === 172 && second >> 4 === 1) || (first === 192 && second === 168)
  return isPrivate || (first === 169 && second === 254) ? "local" : "public"
}

/** The eight groups of an IPv6 address, which is known to be one. The last two may be written as IPv4. */
const groupsOf = (ip: string): ReadonlyArray<number> => {
  const halves = ip.split("::").map((half) =>
    half.split(":").flatMap((part): ReadonlyArray<number> => {
      const four = ipv4.exec(part)
      if (four === null) return part === "" ? [] : [Number.parseInt(part, 16)]
      const [a = 0, b = 0, c = 0, d = 0] = four.slice(1).map(Number)
      return [a * 256 + b, c * 256 + d]
    })
  )
  const [before = [], after = []] = halves
  const zeros = halves.length === 1 ? 0 : 8 - before.length - after.length
  return [...before, ...new Array<number>(zeros).fill(0), ...after]
}

const ofIpv6 = (ip: string): Reach => {
  const groups = groupsOf(ip)
  const [first = 0] = groups
  const [sixth = 0, seventh = 0, eighth = 0] = groups.slice(5)
  if (groups.slice(0, 5).every((group) => group === 0)) {
    if (sixth === 0xffff) return ofIpv4(seventh >> 8, seventh & 255)
    if (sixth === 0 && seventh === 0 && eighth === 1) return "device"
  }
  return first >> 9 === 0x7e || first >> 6 === 0x3fa ? "local" : "public"
}

/** How far the host of a section reaches. A name that is not `localhost` counts as public. */
export const reachOf = (host: string): Reach => {
  if (host === "localhost") return "device"
  if (host.includes(":")) return ofIpv6(host.replace(/%.*$/, ""))
  const four = ipv4.exec(host)
  return four === null ? "public" : ofIpv4(Number(four[1]), Number(four[2]))
}

/** Whether the host is an IP, so that no name has to be looked up. */
export const isIp = (host: string): boolean => host.includes(":") || ipv4.test(host)
