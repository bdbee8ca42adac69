/** `multiserver bridge`: relays each connection to a peer that speaks another stack. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Address from "../Address.ts"
import * as Relay from "../bridge/Relay.ts"
import * as Connection from "../Connection.ts"
import type { ConnectionError } from "../ConnectionError.ts"
import type { DialError } from "../DialError.ts"
import type * as Listener from "../Listener.ts"
import type * as Multiserver from "../Multiserver.ts"
import * as Addresses from "./addresses.ts"
import * as Dialing from "./dialing.ts"
import { fromFailedDial } from "./events.ts"
import * as Finding from "./finding.ts"
import type * as Flags from "./flags.ts"
import * as Listening from "./listening.ts"
import { type Reporter, report } from "./reporter.ts"
import * as Serving from "./serving.ts"
import * as Settings from "./settings.ts"
import * as Workers from "./workers.ts"

type Failure = Address.AddressError | DialError | ConnectionError
type Needs = Multiserver.Multiserver | Scope.Scope

/** Reports a dial that fails for one of many connections. The others go on. */
const reported =
  (relaying: Listener.Handler<Failure, Needs | Reporter>): Listener.Handler<Failure, Needs | Reporter> =>
  (connection) =>
    Effect.tapError(relaying(connection), (error) =>
      error._tag === "DialError" ? report(fromFailedDial(connection, error)) : Effect.void
    )

export const run = (input: Flags.Input<typeof Flags.ofBridge>) =>
  Effect.gen(function* () {
    const settings = yield* Settings.read("bridge", input)
    if (Option.isSome(input.workers)) yield* Workers.check(input, input.once)
    const dial = yield* Dialing.dialAgain(input)
    const here = yield* Addresses.given([input.listen], Option.none())
    const there = yield* Addresses.given(Option.toArray(input.dial), input.addressFile)
    yield* Dialing.checkSpoken(there.addresses)
    const dialing = yield* Dialing.options(input, settings)
    yield* Dialing.checkUsed(input, there.addresses)
    const finding = yield* Finding.read(input, there.addresses)
    const relaying: Listener.Handler<Failure, Needs | Reporter> = (connection) =>
      // A client that has broken off needs no peer. With `--retry forever`, it would otherwise keep its place for ever.
      Effect.flatMap(Effect.raceFirst(dial(there.addresses), Connection.broken(connection)), (other) =>
        Effect.andThen(
          report({ event: "bridged", id: connection.id, with: other.id }),
          Relay.between(connection, other)
        )
      )
    yield* Listening.serve(input, {
      addresses: here.addresses,
      dialed: there.addresses,
      exposed: here.exposed || there.exposed || finding.exposed,
      finding,
      settings,
      dialing,
      workers: Option.getOrUndefined(input.workers),
      serving: input.once ? Serving.once(relaying) : Serving.many(reported(relaying))
    })
  })
