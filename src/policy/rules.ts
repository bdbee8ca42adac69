/** The rules that a Multiserver asks. */
import type { Address } from "../Address.ts"
import type { Below, Destination } from "../Transport.ts"

/**
 * The rules that are asked before something is dialed or let in. A rule that throws denies.
 *
 * @category models
 * @since 0.1.0
 */
export interface PolicyRules {
  /** Asked first, before anything is done for an address. `to` is where its transport says that a dial leads. */
  readonly mayDial: (address: Address, to: Destination) => boolean
  /** Asked after the name look-up, for each resolved IP, so a name whose IPs change can't get around it. */
  readonly mayDialIp: (ip: string, address: Address) => boolean
  /**
   * Asked instead of `mayDialIp` where the platform looks a name up by itself, and never says which IPs it found, as a
   * browser does. Without it, the dial is denied, unless `mayDialIp` is that of `allowAll`.
   */
  readonly mayDialUnknownIp?: (address: Address) => boolean
  /**
   * Asked before a newcomer's first byte is read; behind a trusted proxy, when the source is known. `source` is the
   * newcomer's IP, or what else its transport knows it by. `undefined`: there is nothing of the kind. `at` is the
   * transport to which it has come.
   */
  readonly mayConnect: (source: string | undefined, at: Below) => boolean
  /** Which of the understood addresses of a peer are dialed, and in what order. */
  readonly order: (understood: ReadonlyArray<Address>) => ReadonlyArray<Address>
}

/**
 * The rules about what may be dialed. Each that is left out allows.
 *
 * @category models
 * @since 0.1.0
 */
export type DialRules = Partial<Pick<PolicyRules, "mayDial" | "mayDialIp" | "mayDialUnknownIp">>

/**
 * Rules that allow what both of these allow.
 *
 * @category rules
 * @since 0.1.0
 */
export const both = (a: DialRules, b: DialRules): DialRules => ({
  mayDial: (address, to) => a.mayDial?.(address, to) !== false && b.mayDial?.(address, to) !== false,
  mayDialIp: (ip, address) => a.mayDialIp?.(ip, address) !== false && b.mayDialIp?.(ip, address) !== false,
  mayDialUnknownIp: (address) => mayDialUnknown(a, address) && mayDialUnknown(b, address)
})

/** Rules about IPs can't be obeyed for an IP that nobody knows, so they deny it unless they say otherwise. */
const mayDialUnknown = ({ mayDialIp, mayDialUnknownIp }: DialRules, address: Address): boolean =>
  mayDialUnknownIp?.(address) ?? mayDialIp === undefined

/**
 * Everything is allowed.
 *
 * @category rules
 * @since 0.1.0
 */
export const allowAll: PolicyRules = {
  mayDial: () => true,
  mayDialIp: () => true,
  mayConnect: () => true,
  order: (understood) => understood
}

/**
 * An order by protocols, the preferred first. With `prefer("noise", "shs")` an address of `net~noise` comes before one
 * of `net~shs`, and addresses with neither come last. Addresses of the same rank keep their order.
 *
 * @category rules
 * @since 0.1.0
 */
export const prefer =
  (...protocols: ReadonlyArray<string>): PolicyRules["order"] =>
  (understood) => {
    const rank = ({ stack }: Address) => {
      const names = stack.split("~")
      const first = protocols.findIndex((protocol) => names.includes(protocol))
      return first < 0 ? protocols.length : first
    }
    return [...understood].sort((a, b) => rank(a) - rank(b))
  }
