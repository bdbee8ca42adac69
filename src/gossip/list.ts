/** The list of a gossip: how its peers are dialed, and by what they are known when they come. */
import * as Result from "effect/Result"
import { Address, type AddressError, format, type MultiAddress, parse, publicKeysOf } from "../Address.ts"
import type { Connection } from "../Connection.ts"
import { formatPublicKey, type PublicKey } from "../Identity.ts"
import { BadPeer, GossipError } from "./errors.ts"
import { type Fault, fault } from "./fault.ts"

/** A peer of the list. */
export interface Listed {
  readonly addresses: MultiAddress
  /** The addresses as text without secrets. */
  readonly text: string
  /** The key that it proves. Without one it is trusted because of where it is. */
  readonly key: PublicKey | undefined
}

/** The key that the address names, if its stack proves one. */
const keyIn = (address: Address): PublicKey | undefined => publicKeysOf(address).at(-1)

const isTrusted = ({ transforms }: Address): boolean => transforms.some(({ _tag }) => _tag === "noauth")

/** Whether peers of the list can come in by this address of a listener. */
export const isOpenTo = (list: ReadonlyArray<Listed>, address: Address): boolean =>
  keyIn(address) !== undefined || (isTrusted(address) && list.some(({ key }) => key === undefined))

const fail = (index: number, detail: string): Result.Result<never, GossipError> =>
  Result.fail(new GossipError({ reason: new BadPeer({ index, detail }) }))

const addressesOf = (given: string | Address): Result.Result<MultiAddress, AddressError> =>
  given instanceof Address ? Result.succeed([given]) : parse(given)

/** A peer of the list, from its addresses as they were given. */
export const listedPeer = (given: string | Address, index: number): Result.Result<Listed, AddressError | GossipError> =>
  Result.flatMap(addressesOf(given), (addresses): Result.Result<Listed, GossipError> => {
    const keys = addresses.map(keyIn)
    const [key] = keys
    const isOne = keys.every((each) => (each && formatPublicKey(each)) === (key && formatPublicKey(key)))
    if (!isOne) return fail(index, "its addresses have different keys: list each peer by itself")
    if (key === undefined && !addresses.every(isTrusted)) {
      return fail(index, "nothing in its address proves who it is: add its key, as in net:HOST:PORT~noise:KEY")
    }
    return Result.succeed({ addresses, text: format(addresses), key })
  })

/** Who is at the other end, as the list knows it. */
export interface Known {
  readonly name: string
  /** Whether the name is one peer's, whose exchanges are counted. All that are trusted have one name. */
  readonly isCounted: boolean
}

/** Checks the peer of a connection against the list. Only what it has proved counts. */
export const identify = ({ peer }: Connection, list: ReadonlyArray<Listed>): Result.Result<Known, Fault> => {
  switch (peer._tag) {
    case "Authenticated": {
      const name = formatPublicKey(peer.publicKey)
      const isListed = list.some(({ key }) => key !== undefined && formatPublicKey(key) === name)
      return isListed ? Result.succeed({ name, isCounted: true }) : fault("NotListed", `${name} is not on the list`)
    }
    case "Trusted":
      return list.some(({ key }) => key === undefined)
        ? Result.succeed({ name: "trusted", isCounted: false })
        : fault("NotListed", "every peer of the list has a key, and this one proves none")
    case "Anonymous":
      return fault("Unproved", "the stack proves nothing about the peer")
  }
}
