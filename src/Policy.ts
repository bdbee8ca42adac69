/** What this process may do: which addresses it dials and which sources it lets connect. Who is let in by key is the
 * transform's `authorize`. Read where a Multiserver layer is built. */
import * as Context from "effect/Context"
import type { Address } from "./Address.ts"

export interface PolicyRules {
  /** Before anything is done for an address. */
  readonly mayDial: (address: Address) => boolean
  /** After name lookup, for each resolved IP: a name that changes its mind gains nothing. */
  readonly mayDialIp: (ip: string, address: Address) => boolean
  /** Before a newcomer's first byte is read. `source` is its IP; `undefined` where there is none. */
  readonly mayConnect: (source: string | undefined) => boolean
}

/** Everything is allowed. */
export const allowAll: PolicyRules = {
  mayDial: () => true,
  mayDialIp: () => true,
  mayConnect: () => true
}

export const Policy: Context.Reference<PolicyRules> = Context.Reference("effect-multiserver/Policy", {
  defaultValue: () => allowAll
})
