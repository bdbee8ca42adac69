/** `multiserver record`: a signed record of this identity's addresses, on one line. */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Address from "../Address.ts"
import * as AddressRecord from "../AddressRecord.ts"
import * as AppKey from "../AppKey.ts"
import * as Sodium from "../crypto/Sodium.ts"
import { formatPublicKey, Identity, type PublicKey } from "../Identity.ts"
import * as Addresses from "./addresses.ts"
import * as Durations from "./durations.ts"
import { UsageError } from "./exit.ts"
import type * as Flags from "./flags.ts"
import * as Keys from "./keys.ts"
import * as Settings from "./settings.ts"

const conflict = (message: string) => new UsageError({ kind: "Conflict", message })

/** Whether a dial of the address ends at the peer that holds this key. */
const names =
  (key: PublicKey) =>
  ({ transforms }: Address.Address): boolean =>
    transforms.some(
      (section) =>
        "publicKey" in section &&
        section.publicKey !== undefined &&
        formatPublicKey(section.publicKey) === formatPublicKey(key)
    )

export const run = (input: Flags.Input<typeof Flags.ofRecord>) =>
  Effect.gen(function* () {
    const settings = yield* Settings.read("record")
    const validity = yield* Durations.parse("--validity", input.validity, 1000)
    const { addresses } = yield* Addresses.given(input.addresses, input.addressFile)
    if (Option.isNone(input.keyFile) && settings.keyFile === undefined) {
      const message = "a record is signed by the peer that it is about: give --key-file (see keygen)"
      return yield* new UsageError({ kind: "MissingArgument", message })
    }
    const appKey = yield* Keys.appKey(input, settings.appKey)
    yield* Effect.gen(function* () {
      const pair = yield* Identity
      const other = addresses.findIndex((each) => !names(pair.publicKey)(each))
      if (other >= 0) {
        const key = formatPublicKey(pair.publicKey)
        return yield* conflict(
          `address number ${other + 1} does not lead to the key that signs, ${key}: give it as listen prints it`
        )
      }
      const now = yield* Clock.currentTimeMillis
      const expires = Math.floor((now + Duration.toMillis(validity)) / 1000)
      const { bytes } = yield* Effect.mapError(
        AddressRecord.sign(pair, { addresses, sequence: now, expires }),
        ({ message }) => conflict(message)
      )
      yield* Console.log(Base64.encode(bytes))
    }).pipe(
      Effect.provide(
        Keys.identity(input.keyFile, settings.keyFile).pipe(
          Layer.provideMerge(Sodium.layer),
          Layer.provideMerge(AppKey.layer(appKey))
        )
      )
    )
  })
