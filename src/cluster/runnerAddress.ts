/** The address of a runner: the text of addresses of one peer, as the host of Effect's `RunnerAddress`. No I/O. */

import { make, type RunnerAddress } from "effect/cluster/RunnerAddress"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type Address, format, type MultiAddress, parse, publicKeysOf } from "../Address.ts"
import { formatPublicKey, type PublicKey } from "../Identity.ts"
import { printable } from "../printable.ts"

/** The tables of a cluster hold 255 characters, and Effect writes the port after the host: `:0`. */
const longest = 253

const details = {
  NoAddress:
    "nothing that it listens on can be dialed by others: listen on another interface, or set scope or external",
  TooLong: `it has more than ${longest} characters: set scope or external, or listen on fewer addresses`,
  Unreadable: "it is not an address that a runner could have",
  NoKey: "an address in it names no key, so that anybody could be there: add ~noise or ~shs",
  SeveralKeys: "it names several keys, and a runner has one",
  NotListed: "its key is not in the list of runners (Cluster.layerMembers)",
  TooHeavy: "its weight is not above 0 and at most 100, or it is in more than 100 shard groups"
} as const

/**
 * An address that no runner of this cluster may have. `Cluster.layerRunner` fails with it when the address is its own.
 * Of a runner in the database it is logged, and nothing is dialed.
 *
 * @category errors
 * @since 0.1.0
 */
export class RunnerError extends Schema.TaggedError<RunnerError>("effect-multiserver/RunnerError")("RunnerError", {
  /** The address as it was found, cut after 100 characters. */
  address: Schema.String,
  reason: Schema.Literals(["NoAddress", "TooLong", "Unreadable", "NoKey", "SeveralKeys", "NotListed", "TooHeavy"])
}) {
  override get message(): string {
    return `the runner ${this.address}: ${details[this.reason]}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** The error for an address, which may be anybody's text. */
export const runnerError = (address: string, reason: RunnerError["reason"]): RunnerError =>
  new RunnerError({ address: printable(address, 100), reason })

/** A runner's addresses, and the one key that all of them name. */
export interface Dialable {
  readonly addresses: MultiAddress
  readonly key: PublicKey
}

const read = (text: string): Result.Result<Dialable, RunnerError> => {
  const fail = (reason: RunnerError["reason"]) => Result.fail(runnerError(text, reason))
  if (text.length > longest) return fail("TooLong")
  const parsed = parse(text)
  if (Result.isFailure(parsed)) return fail("Unreadable")
  const keys = parsed.success.map(publicKeysOf)
  const [key] = keys.flat()
  if (key === undefined || keys.some((each) => each.length === 0)) return fail("NoKey")
  const isOne = new Set(keys.flat().map(formatPublicKey)).size === 1
  return isOne ? Result.succeed({ addresses: parsed.success, key }) : fail("SeveralKeys")
}

/** What a runner's address says. The database may say anything. */
export const fromRunnerAddress = ({ host, port }: RunnerAddress): Result.Result<Dialable, RunnerError> =>
  port === 0 ? read(host) : Result.fail(runnerError(`${host}:${port}`, "Unreadable"))

/** The address of the runner with these addresses, and its key. */
export const toRunnerAddress = (
  addresses: ReadonlyArray<Address>
): Result.Result<{ readonly address: RunnerAddress; readonly key: PublicKey }, RunnerError> => {
  const text = addresses.map((each) => format(each)).join(";")
  if (text === "") return Result.fail(runnerError("without an address", "NoAddress"))
  return Result.map(read(text), ({ key }) => ({ address: make(text, 0), key }))
}
