/** `multiserver keygen`: a new identity in a secret file. */

import * as Console from "effect/Console"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Sodium from "../crypto/Sodium.ts"
import * as Identity from "../Identity.ts"
import { report } from "./reporter.ts"
import * as Settings from "./settings.ts"

export const keygen = Command.make("keygen", {
  output: Flag.String("output").pipe(
    Flag.withAlias("o"),
    Flag.withMetavar("FILE"),
    Flag.withDescription("The secret file to make (default: ./secret)"),
    Flag.withDefault("./secret")
  )
}).pipe(
  Command.withDescription(
    "Make a key pair, save it in a new secret file that only you can read (mode 0600), in the format of " +
      "ssb-keys, and print the public key. An existing file is never overwritten."
  ),
  Command.withShortDescription("Make a secret file, and print its public key"),
  Command.withExamples([{ command: "multiserver keygen --output secret" }]),
  Command.withHandler(({ output }) =>
    Effect.gen(function* () {
      yield* Settings.read("keygen")
      const pair = yield* Identity.generate
      yield* Identity.save(output, pair)
      const key = Identity.formatPublicKey(pair.publicKey)
      yield* report({ event: "created", file: output, key })
      yield* Console.log(key)
    }).pipe(Effect.provide(Sodium.layer))
  )
)
