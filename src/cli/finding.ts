/** What `connect`, `probe` and `bridge` share to dial a peer by its key. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Address from "../Address.ts"
import * as AppKey from "../AppKey.ts"
import type { NoisePrimitives, Primitives } from "../crypto/Primitives.ts"
import type { Identity } from "../Identity.ts"
import type { Multiserver } from "../Multiserver.ts"
import * as Addresses from "./addresses.ts"
import { type LocalError, UsageError } from "./exit.ts"
import type { Needs } from "./files.ts"
import { authenticates, exampleTracker, isPeer } from "./spoken.ts"

interface Input {
  readonly tracker: ReadonlyArray<string>
  readonly records: Option.Option<string>
  readonly followPrivate: boolean
}

type Keys = Identity | Primitives | NoisePrimitives

/** Where a peer is looked up. */
export interface Finding {
  /** Whether a seed or token of a tracker's address was in the arguments. */
  readonly exposed: boolean
  /** Adds the dialing of `peer:KEY` to a Multiserver, if an address is one. */
  readonly over: <R>(
    multiserver: Layer.Layer<Multiserver, never, R | Keys>,
    appKey: AppKey.AppKey
  ) => Layer.Layer<Multiserver, never, R | Keys | FileSystem.FileSystem>
}

/** No `peer:KEY` is dialed. */
export const none: Finding = { exposed: false, over: (multiserver) => multiserver }

const conflict = (message: string) => new UsageError({ kind: "Conflict", message })

/** The addresses of trackers, and whether a seed or token is in them. Fails if one of them has no key. */
export const trackers = (texts: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const all = yield* Effect.forEach(texts, (text) => Addresses.given([text], Option.none()))
    const keyless = all.flatMap(({ addresses }) => addresses).find(({ stack }) => !authenticates(stack))
    if (keyless !== undefined) {
      return yield* conflict(
        `--tracker ${keyless}: this stack proves no key, so anybody on the way could answer: give the tracker's ` +
          `address with its key, such as ${exampleTracker}`
      )
    }
    return { addresses: all.map(({ addresses }) => addresses), exposed: all.some(({ exposed }) => exposed) }
  })

/** Reads the flags. Fails if they are for none of the addresses, and if an address needs them. */
export const read = (
  { followPrivate, records, tracker }: Input,
  dialed: Address.MultiAddress
): Effect.Effect<Finding, Address.AddressError | UsageError | LocalError, Needs> =>
  Effect.gen(function* () {
    const isAsked = tracker.length > 0 || Option.isSome(records)
    if (!dialed.some(isPeer)) {
      if (!isAsked && !followPrivate) return none
      return yield* conflict(
        "--tracker, --records and --follow-private are for an address peer:KEY, and none is dialed here: leave them " +
          "out, or give such an address"
      )
    }
    if (!isAsked) {
      const message =
        "the addresses of a peer:KEY have to be looked up, and nothing says where: give --tracker ADDRESS or " +
        "--records FILE"
      return yield* new UsageError({ kind: "MissingArgument", message })
    }
    const { addresses, exposed } = yield* trackers(tracker)
    // Most dials need none of it.
    const { finding } = yield* Effect.promise(() => import("./lookup.ts"))
    return {
      exposed,
      over: (multiserver, appKey) =>
        finding(addresses, records, followPrivate).pipe(Layer.provide(multiserver), Layer.provide(AppKey.layer(appKey)))
    }
  })
