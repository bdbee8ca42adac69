/** Reads the option `external`: the hosts and addresses by which others reach a listener. */
import * as Result from "effect/Result"
import { type Address, AddressError, BadHost, hasSecret, parse as parseAddress } from "./Address.ts"
import { kindOfHost, toUrlHost } from "./address/host.ts"
import { withoutBrackets } from "./address/hostPort.ts"

/** Hosts and whole addresses by which others reach a listener. */
export interface External {
  /** As sections have them: ASCII, in lower case, without a zone. An onion name has no dot at its end. */
  readonly hosts: ReadonlyArray<string>
  readonly addresses: ReadonlyArray<Address>
}

export const none: External = { hosts: [], addresses: [] }

const hostOf = (text: string): string | undefined => {
  const host = withoutBrackets(text)
  switch (kindOfHost(host)) {
    case "onion":
      return host.toLowerCase().replace(/\.+$/, "")
    case "clear":
      return toUrlHost(host).replace(/%.*$/, "")
    default:
      return undefined
  }
}

/**
 * Whether the address is complete. A host without a port, at the wrong place, parses as an unknown protocol without
 * data.
 */
const isWhole = (address: Address): boolean => {
  const { transport } = address
  if (hasSecret(address) || ("port" in transport && transport.port === 0)) return false
  return transport._tag !== "opaque" || transport.data !== ""
}

const expected = "each external to be a host, such as pub.example, or a whole address with its port, without a seed"

const parseOne = (text: string): Result.Result<External, AddressError> => {
  const host = hostOf(text)
  if (host !== undefined) return Result.succeed({ hosts: [host], addresses: [] })
  const parsed = parseAddress(text)
  return Result.isSuccess(parsed) && parsed.success.every(isWhole)
    ? Result.succeed({ hosts: [], addresses: parsed.success })
    : Result.fail(new AddressError({ reason: new BadHost({ offset: 0, expected }) }))
}

/** Reads all of these texts. Fails when one of them is neither a host nor a whole address. */
export const parse = (texts: ReadonlyArray<string>): Result.Result<External, AddressError> =>
  Result.map(Result.all(texts.map(parseOne)), (all) => ({
    hosts: all.flatMap(({ hosts }) => hosts),
    addresses: all.flatMap(({ addresses }) => addresses)
  }))
