/** Name lookup that policy sees: a name leads only to those of its IPs that may be dialed. */
import * as dns from "node:dns"
import * as net from "node:net"
import { DeniedByPolicy } from "../DialError.ts"

const deniedReason = (ips: ReadonlyArray<string>) => new DeniedByPolicy({ detail: `may not dial ${ips.join(", ")}` })

/** Lookup for one attempt. */
export interface Lookup {
  readonly lookup: net.LookupFunction
  /** Why nothing could be dialed, when it was for policy. */
  readonly denied: () => DeniedByPolicy | undefined
}

/** The lookup of a host. One that is an IP is denied from the start, since no lookup is made for it. */
export const permitted = (host: string, permits: (ip: string) => boolean): Lookup => {
  let denied = net.isIP(host) !== 0 && !permits(host) ? deniedReason([host]) : undefined
  return {
    denied: () => denied,
    lookup: (hostname, options, callback) =>
      dns.lookup(hostname, { ...options, all: true }, (error, found) => {
        if (error !== null) return callback(error, [])
        const allowed = found.filter(({ address }) => permits(address))
        const [first] = allowed
        if (first === undefined) {
          denied = deniedReason(found.map(({ address }) => address))
          return callback(Object.assign(new Error("denied"), { code: "EDENIED" }), [])
        }
        if (options.all === true) callback(null, allowed)
        else callback(null, first.address, first.family)
      })
  }
}
