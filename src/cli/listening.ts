/** What `listen` and `bridge` share: where they listen, which peers get in, and what they report. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Address from "../Address.ts"
import * as AppKey from "../AppKey.ts"
import * as NodeKem from "../crypto/NodeKem.ts"
import * as Sodium from "../crypto/Sodium.ts"
import * as Events from "../Events.ts"
import * as External from "../external.ts"
import * as Limits from "../Limits.ts"
import { ListenError, NotListenable } from "../ListenError.ts"
import type { Listener } from "../Listener.ts"
import * as Multiserver from "../Multiserver.ts"
import * as Policy from "../Policy.ts"
import * as InheritedSockets from "../sockets/InheritedSockets.ts"
import type { Reach } from "../Transport.ts"
import * as TlsFiles from "../tlsFiles.ts"
import { WorkerHooks } from "../workerHooks.ts"
import * as Addresses from "./addresses.ts"
import * as Allowed from "./allowed.ts"
import { type Event, fromLibrary } from "./events.ts"
import { Signalled, type UsageError } from "./exit.ts"
import type * as Finding from "./finding.ts"
import * as Hosts from "./hosts.ts"
import * as Keys from "./keys.ts"
import * as Origins from "./origins.ts"
import { quieted } from "./repeats.ts"
import { Reporter, report } from "./reporter.ts"
import type { Serving } from "./serving.ts"
import type { Settings } from "./settings.ts"
import * as Signals from "./signals.ts"
import { exampleExternal, isPeer } from "./spoken.ts"
import * as Stacks from "./stacks.ts"
import * as Telemetry from "./telemetry.ts"
import * as Tls from "./tls.ts"
import * as Used from "./used.ts"
import * as Workers from "./workers.ts"

const reaches = ["device", "local", "public"] as const

interface Input extends Keys.Input, Tls.Input, Telemetry.Input {
  readonly allow: ReadonlyArray<string>
  readonly origin: ReadonlyArray<string>
  readonly host: ReadonlyArray<string>
  readonly external: ReadonlyArray<string>
  readonly scope: ReadonlyArray<Reach>
}

/** Which events are reported as one when they repeat. With `--json`, programs get each failed handshake, to count. */
const repeats =
  (json: boolean) =>
  (event: Event): event is Extract<Event, { readonly event: "refused" | "handshake-failed" }> =>
    event.event === "refused" || (!json && event.event === "handshake-failed")

/** How connections end when nothing is cut off. */
const orderly: ReadonlyArray<Events.Closed["tag"]> = ["end", "closed"]

/** The library's events, held back until `listening` has been reported. */
const held = Effect.gen(function* () {
  const reporter = yield* Reporter
  const stopping = { begun: false, hasCut: false }
  const say = yield* quieted(reporter.say, repeats(reporter.json))
  let early: Array<Event> | undefined = []
  const sink: Events.Sink = (event) =>
    Effect.suspend(() => {
      // A connection that ends in any other way has lost what one side still had to send.
      if (stopping.begun && event._tag === "Closed" && !orderly.includes(event.tag)) stopping.hasCut = true
      const own = fromLibrary(event)
      if (own === undefined) return Effect.void
      if (early === undefined) return say(own)
      early.push(own)
      return Effect.void
    })
  const release = Effect.suspend(() => {
    const waiting = early ?? []
    early = undefined
    return Effect.forEach(waiting, say, { discard: true })
  })
  return { sink, release, stopping }
})

/** Whether a dial of the address connects to this host. */
const leadsTo =
  (host: string) =>
  ({ transport }: Address.Address): boolean =>
    "host" in transport && transport.host === host

/** The warning for an external host by which no listener can be reached: it would silently do nothing. */
const unusedWarning = (host: string) =>
  ({
    event: "warning",
    message:
      `--external ${host} leads to nothing that is listened on: listen on all interfaces, as with 0.0.0.0, or ` +
      `give the whole address that leads here, as in --external ${exampleExternal}`
  }) as const

/** Fails if a given flag is for none of the addresses that are listened on. */
const checkUsed = (input: Input, addresses: Address.MultiAddress): Effect.Effect<void, UsageError> => {
  const { host, origin } = input
  const uses = [
    ...Tls.uses(input),
    ...Used.given(origin.length > 0, "--origin", "a ws or wss address", "ws", "wss"),
    ...Used.given(host.length > 0, "--host", "a ws or wss address", "ws", "wss")
  ]
  return Used.check(uses, addresses, "listened on")
}

/** Replaces the transport's own message, which is for those who write programs. */
const withoutCertificate = (address: Address.Address): ListenError =>
  new ListenError({
    address: Address.format(address),
    reason: new NotListenable({ detail: "wss needs a key and a certificate: give --tls-key and --tls-cert" })
  })

/** Publishes the addresses of these scopes, or else the public ones. */
const published = (listener: Listener, trackers: ReadonlyArray<Address.MultiAddress>, scope: ReadonlyArray<Reach>) =>
  Effect.gen(function* () {
    const scopes = scope.length > 0 ? scope : (["public"] as const)
    if (listener.addresses(scopes).length === 0) {
      const message =
        `no address is published, because none can be dialed from the scope ${scopes.join(" or ")}: give another ` +
        "--scope, or --external"
      yield* report({ event: "warning", message })
    }
    const { publishing } = yield* Effect.promise(() => import("./lookup.ts"))
    return yield* publishing(listener, trackers, scopes)
  })

/** What there is to serve, and how its handlers dial. */
export interface Task<E, R> {
  readonly addresses: Address.MultiAddress
  /** What is dialed for each connection. `listen` dials nothing. */
  readonly dialed: ReadonlyArray<Address.Address>
  readonly exposed: boolean
  readonly serving: Serving<E, R>
  /** Whether it serves a tracker. */
  readonly isTracker?: boolean
  readonly dialing: Stacks.Dialing
  /** How peers that are dialed by their keys are found. */
  readonly finding: Finding.Finding
  /** Where the addresses of the listener are published. */
  readonly trackers?: ReadonlyArray<Address.MultiAddress>
  /** How many processes serve. `undefined`: this one alone. */
  readonly workers?: number | undefined
  readonly settings: Settings
}

/**
 * Listens, reports where, and serves until a signal, or until the only connection is over. At a signal it drains. Then
 * it fails if the signal was not one that asks a service to stop, or if a connection had to be cut off.
 */
export const serve = <E, R>(input: Input, task: Task<E, R>) =>
  Effect.gen(function* () {
    const { addresses, dialed, dialing, exposed, finding, isTracker = false, serving, settings, trackers = [] } = task
    const { workers } = task
    const allowed = yield* Allowed.parse(input.allow, settings.allowed, addresses)
    const { hosts: externalHosts } = yield* Effect.fromResult(External.parse(input.external))
    const { limits, policy, trustedProxies } = settings
    const given = yield* Origins.parse(input.origin)
    const origins = given.length > 0 ? given : settings.origins
    const hosts = yield* Hosts.parse(input.host)
    yield* checkUsed(input, addresses)
    const secure = addresses.find(({ transport }) => transport._tag === "wss")
    const credentials = yield* Tls.shown(
      input,
      secure === undefined ? TlsFiles.none : settings.tls,
      !Workers.areOthers(workers)
    )
    if (secure !== undefined && credentials === undefined) return yield* withoutCertificate(secure)
    const appKey = yield* Keys.appKey(input, settings.appKey)
    const events = yield* held
    // Workers count nothing: the process that reports their events does.
    const counting = Workers.isOne(workers) ? [] : yield* Telemetry.start(input, serving.isMany)
    const sinks = [events.sink, ...counting]
    const stacks = Stacks.layer({
      ...dialing,
      trustedProxies,
      appKey,
      peers: allowed ?? {},
      web: {
        ...dialing.web,
        ...(origins && { origins }),
        ...(hosts.length > 0 && { hosts }),
        ...(credentials && { credentials })
      }
    })
    const signalled = Effect.tap(yield* Signals.Signals, () =>
      Effect.sync(() => {
        events.stopping.begun = true
      })
    )
    /** Reports where it listens, and then the events that have waited for that. */
    const said = (addressesOf: (scopes: ReadonlyArray<Reach>) => ReadonlyArray<Address.Address>) =>
      Effect.gen(function* () {
        const scopes = input.scope.length > 0 ? input.scope : reaches
        const isBare = (each: Address.Address) => each.transforms.length === 0 && !isPeer(each)
        const passes = dialed.length > 0 && [...addresses, ...dialed].every(isBare)
        yield* report({
          event: "listening",
          addresses: addressesOf(scopes).map(Address.format),
          ...(passes && { passes }),
          ...(isTracker && { tracker: isTracker })
        })
        const unused = externalHosts.filter((host) => !addressesOf(reaches).some(leadsTo(host)))
        yield* Effect.forEach(unused, (host) => report(unusedWarning(host)))
        if (exposed) yield* report(Addresses.exposedWarning)
        yield* Effect.forEach([...addresses, ...dialed].filter(Stacks.isOpen), (each) =>
          report(Stacks.openWarning(each))
        )
        yield* events.release
      })
    const listen = Multiserver.listen(addresses, { external: input.external })
    const publish = (listener: Listener) =>
      trackers.length > 0 ? Effect.forkScoped(published(listener, trackers, input.scope)) : Effect.void
    const multiserver = finding.over(stacks, appKey).pipe(
      Layer.provideMerge([
        InheritedSockets.layerConfig(addresses),
        Layer.succeed(Policy.Policy, {
          ...policy.rules,
          mayConnect: (source, at) => serving.mayConnect() && policy.rules.mayConnect(source, at)
        }),
        Layer.succeed(Limits.Limits, limits),
        AppKey.layer(appKey)
      ]),
      Layer.provideMerge([Sodium.layer, NodeKem.layer])
    )
    const identity = Layer.provide(Keys.identity(input.keyFile, settings.keyFile), Sodium.layer)
    const alone = Effect.gen(function* () {
      const listener = yield* listen
      yield* said(listener.addresses)
      yield* publish(listener)
      return yield* Effect.raceFirst(listener.run(serving.handler), serving.outcome)
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provideMerge(multiserver, Layer.merge(identity, Events.layer(...sinks))))
    )
    const inWorkers = (count: number) =>
      Effect.flatMap(
        Effect.promise(() => import("./launch.ts")),
        ({ serve }) =>
          serve({
            workers: count,
            limits,
            identity,
            sinks,
            reloads: secure !== undefined,
            listening: said,
            server: Layer.effectDiscard(
              Effect.gen(function* () {
                const listener = yield* listen
                if ((yield* WorkerHooks).isFirst) yield* publish(listener)
                yield* Effect.forkScoped(listener.run(serving.handler))
              })
            ).pipe(Layer.provide(multiserver))
          })
      )
    const until = <E, R>(served: Effect.Effect<void, E, R>) => Effect.raceFirst(Effect.as(served, undefined), signalled)
    const signal = yield* workers === undefined ? until(alone) : until(inWorkers(workers))
    if (signal === undefined) return
    if (events.stopping.hasCut || !Signals.asksToStop(signal)) return yield* new Signalled({ signal })
  }).pipe(Effect.scoped)
