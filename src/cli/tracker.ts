/** `multiserver tracker`: takes the records of peers, and gives them to those who ask for a key. */
import * as Effect from "effect/Effect"
import * as AppKey from "../AppKey.ts"
import * as Sodium from "../crypto/Sodium.ts"
import { Limits } from "../Limits.ts"
import * as Tracker from "../Tracker.ts"
import * as Addresses from "./addresses.ts"
import { UsageError } from "./exit.ts"
import * as Finding from "./finding.ts"
import type * as Flags from "./flags.ts"
import * as Keys from "./keys.ts"
import * as Listening from "./listening.ts"
import * as Serving from "./serving.ts"
import * as Settings from "./settings.ts"
import * as Spoken from "./spoken.ts"

export const run = (input: Flags.Input<typeof Flags.ofTracker>) =>
  Effect.gen(function* () {
    const settings = yield* Settings.read("tracker", input)
    const given = yield* Addresses.given(input.addresses, input.addressFile)
    const keyless = given.addresses.find(({ stack }) => !Spoken.authenticates(stack))
    if (keyless !== undefined) {
      const message =
        `a tracker takes a record only from the peer that it is about, and ${keyless.stack} proves no key: add ` +
        Spoken.proving.map((each) => `~${each}`).join(" or ")
      return yield* new UsageError({ kind: "Conflict", message })
    }
    const handler = yield* Tracker.make().pipe(
      Effect.provide([AppKey.layer(yield* Keys.appKey(input, settings.appKey)), Sodium.layer]),
      Effect.provideService(Limits, settings.limits)
    )
    yield* Listening.serve(input, {
      ...given,
      dialed: [],
      finding: Finding.none,
      isTracker: true,
      serving: Serving.many(handler),
      settings,
      dialing: { web: {}, onion: {} }
    })
  }).pipe(Effect.scoped)
