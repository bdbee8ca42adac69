/** `multiserver connect`: stdin to a peer, and the peer to stdout. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as NodeKem from "../crypto/NodeKem.ts"
import * as Sodium from "../crypto/Sodium.ts"
import * as Events from "../Events.ts"
import * as Addresses from "./addresses.ts"
import * as Dialing from "./dialing.ts"
import { fromLibrary } from "./events.ts"
import { keepStdin, stdinIsNoDirectory } from "./files.ts"
import * as Finding from "./finding.ts"
import type * as Flags from "./flags.ts"
import * as Keys from "./keys.ts"
import { Reporter, report } from "./reporter.ts"
import * as Settings from "./settings.ts"
import * as Stacks from "./stacks.ts"
import * as Pipe from "./stdio.ts"

/** The library's events, as they come. */
const events = Layer.unwrap(
  Effect.map(Reporter, ({ say }) =>
    Events.layer((event) => {
      const own = fromLibrary(event)
      return own === undefined ? Effect.void : say(own)
    })
  )
)

export const run = (input: Flags.Input<typeof Flags.ofConnect>) =>
  Effect.gen(function* () {
    const settings = yield* Settings.read("connect", input)
    yield* keepStdin("connect", input)
    if (!input.recvOnly) yield* stdinIsNoDirectory
    const dial = yield* Dialing.dialAgain(input)
    const { addresses, exposed } = yield* Addresses.given(Option.toArray(input.address), input.addressFile)
    const appKey = yield* Keys.appKey(input, settings.appKey)
    const options = yield* Dialing.ownOptions(input, settings)
    const how = yield* Pipe.options(input, false)
    yield* Dialing.checkOwnUsed(input, addresses)
    const finding = yield* Finding.read(input, addresses)
    if (exposed || finding.exposed) yield* report(Addresses.exposedWarning)
    yield* Effect.forEach(addresses.filter(Stacks.isOpen), (each) => report(Stacks.openWarning(each)))
    yield* dial(addresses).pipe(
      Effect.flatMap((connection) => Pipe.bridge(connection, how)),
      Effect.scoped,
      // Caught outside of the scope: so the connection has ended without a goodbye, because not everything was taken.
      Effect.catchTag("StdoutClosed", () => Effect.void),
      Effect.provide(
        finding
          .over(Stacks.layer({ ...options, appKey }), appKey)
          .pipe(
            Layer.provide([Keys.identity(input.keyFile, settings.keyFile), Settings.layer(settings), events]),
            Layer.provide([Sodium.layer, NodeKem.layer])
          )
      )
    )
  })
