/** The look-up of peers by their keys, and publishing: what is loaded only where it is asked for. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as References from "effect/References"
import type * as Address from "../Address.ts"
import type { Listener, Scopes } from "../Listener.ts"
import * as Lookup from "../Lookup.ts"
import * as PeerMultiserver from "../PeerMultiserver.ts"
import * as Tracker from "../Tracker.ts"
import { Reporter } from "./reporter.ts"

type Trackers = ReadonlyArray<Address.MultiAddress>

const sourcesOf = (trackers: Trackers) => trackers.map((at) => Effect.orDie(Tracker.source({ at })))

/** A Multiserver that dials `peer:KEY` too, over the one below. */
export const finding = (trackers: Trackers, file: Option.Option<string>, followPrivate: boolean) =>
  PeerMultiserver.layer(followPrivate ? { dial: {}, ports: () => true } : {}).pipe(
    // The rules are those of this function: there is no bad network in them.
    Layer.orDie,
    Layer.provide(Lookup.layer([...Option.toArray(Option.map(file, Lookup.fromFile)), ...sourcesOf(trackers)]))
  )

/** Says what is published. */
const said = ({ addresses, expires, sequence }: Lookup.Published["record"]) =>
  Reporter.use(({ say }) =>
    say({
      event: "published",
      addresses,
      sequence,
      until: DateTime.formatIso(DateTime.makeUnsafe(expires * 1000))
    })
  )

/**
 * Publishes the addresses of a listener at these trackers, and goes on as long as it is not interrupted. What fails is
 * an event already, and is not logged too.
 */
export const publishing = (listener: Listener, trackers: Trackers, scope: Scopes) =>
  Effect.gen(function* () {
    const { publish, ...rest } = yield* Lookup.Lookup
    const reporter = yield* Reporter
    const reported: typeof publish = (addresses) =>
      Effect.tap(publish(addresses), ({ record }) => Effect.provideService(said(record), Reporter, reporter))
    return yield* Effect.provideService(Lookup.publishing(listener, { scope }), Lookup.Lookup, {
      ...rest,
      publish: reported
    })
  }).pipe(Effect.provide(Lookup.layer(sourcesOf(trackers))), Effect.provideService(References.MinimumLogLevel, "Error"))
