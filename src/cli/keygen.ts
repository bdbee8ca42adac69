/** `multiserver keygen`: a new identity in a secret file. */

import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Sodium from "../crypto/Sodium.ts"
import * as Identity from "../Identity.ts"
import { checkVariables } from "./environment.ts"
import type * as Flags from "./flags.ts"
import { report } from "./reporter.ts"

export const run = ({ output }: Flags.Input<typeof Flags.ofKeygen>) =>
  Effect.gen(function* () {
    yield* checkVariables("keygen")
    const pair = yield* Identity.generate
    yield* Identity.save(output, pair)
    const key = Identity.formatPublicKey(pair.publicKey)
    yield* report({ event: "created", file: output, key })
    yield* Console.log(key)
  }).pipe(Effect.provide(Sodium.layer))
