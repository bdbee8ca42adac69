/**
 * `port:NAME`: connections between a page and its workers, between threads, and between the processes of Electron, over
 * message ports. It needs nothing of a platform but such ports.
 *
 * The layer gets, by name, the ports that lead to other contexts. A dial sends a port of its own over such a port, and
 * a listener accepts those that arrive. docs/port.md says what is posted, and what each platform tells of a peer that
 * vanishes.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import { NotDialable, Refused, type TransportReason, Unreachable } from "../DialError.ts"
import * as Link from "../Link.ts"
import { AddressInUse, type BindReason, NotListenable } from "../ListenError.ts"
import { CreditPort } from "../messages/creditPort.ts"
import { anonymous } from "../Peer.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"
import * as Transport from "../Transport.ts"
import { type Channel, Endpoint } from "./endpoint.ts"
import { Gate } from "./gate.ts"
import { type MessagePortLike, onGone, PortCarrier } from "./portLike.ts"

export type { Channel } from "./endpoint.ts"
export type { MessagePortLike } from "./portLike.ts"

/**
 * Where ports arrive, one for each context that wants to dial: the pages of a `SharedWorker`, for example. It is called
 * when a listener starts, with the function that takes each port. It returns the function that stops it.
 *
 * @category models
 * @since 0.1.0
 */
export type ArrivingPorts = (take: (port: MessagePortLike) => void) => () => void

/**
 * Options of the `port` transport.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * What each `NAME` of `port:NAME` stands for: a port that leads to another context, or where such ports arrive. A
   * service has the same name at both ends, and one port can lead to several. The application may go on using a port
   * for messages of its own.
   */
  readonly ports: Readonly<Record<string, MessagePortLike | ArrivingPorts>>
  /**
   * Makes the channel of a dial. By default a `MessageChannel` of the platform. In Electron's main process it is
   * `() => new MessageChannelMain()`.
   */
  readonly channel?: () => Channel
  /**
   * For Electron, where one end is in the main process, at both ends: buffers are copied instead of transferred, and a
   * port goes beside a message instead of within it. By default `false`.
   */
  readonly copies?: boolean
  /**
   * Whether only this user's own processes are at the other ends. Then a peer over `noauth` is `Trusted`. By default
   * `false`, because a port may lead to a frame of another origin.
   */
  readonly trusted?: boolean
}

/** What an acceptor says first: that it has taken the stream, or that it has no room for it. */
const hello = "hello"
const refused = "refused"

const at = (name: string): Link.Who => {
  const transport = makeUnchecked(Address.MessagePort, { _tag: "port", name })
  return { remote: makeUnchecked(Address.Address, { transport, transforms: [] }), peer: anonymous }
}

// -----------------------------------------------------------------------------
// dialing
// -----------------------------------------------------------------------------

/** Waits for the acceptor's first word. The port is made in the same step, so that it misses nothing after it. */
const answered = (carrier: PortCarrier): Effect.Effect<CreditPort, TransportReason> =>
  Effect.callback((resume) => {
    const fail = (reason: TransportReason) => resume(Effect.fail(reason))
    carrier.setHearer({
      onMessage: (message) => {
        if (message === hello) resume(Effect.succeed(new CreditPort(carrier)))
        else fail(message === refused ? new Refused() : new Unreachable({ code: "PORT_PROTOCOL" }))
      },
      onUnreadable: () => fail(new Unreachable({ code: "PORT_PROTOCOL" })),
      onClosed: () => fail(new Unreachable({ code: "PORT_CLOSED" }))
    })
  })

const dial = (endpoint: Endpoint, name: string): Effect.Effect<Link.Link, TransportReason, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      yield* restore(endpoint.knock)
      const carrier = yield* Effect.acquireRelease(endpoint.open, (carrier) => Effect.sync(() => carrier.release()))
      return yield* Link.make(yield* restore(answered(carrier)), at(name))
    })
  )

// -----------------------------------------------------------------------------
// listening
// -----------------------------------------------------------------------------

/** The link over a port that has arrived, made when the effect runs. */
const accepted = (carrier: PortCarrier, name: string): Transport.Accepted =>
  Effect.uninterruptible(
    Effect.suspend(() => {
      carrier.greet(hello)
      return Link.make(new CreditPort(carrier), at(name))
    })
  )

/** Listens on each port that arrives, until the returned function is called. */
const listenOnAll = (arrivals: ArrivingPorts, listen: (port: MessagePortLike) => () => void): (() => void) => {
  const stops = new Set<() => void>()
  const stopArrivals = arrivals((port) => {
    const stopListening = listen(port)
    const stop = () => {
      stops.delete(stop)
      stopGone()
      stopListening()
    }
    const stopGone = onGone(port, stop)
    stops.add(stop)
  })
  return () => {
    stopArrivals()
    for (const stop of stops) stop()
  }
}

// -----------------------------------------------------------------------------
// the transport
// -----------------------------------------------------------------------------

const make = (
  { channel = () => new MessageChannel(), copies = false, ports, trusted = false }: Options,
  gates: Map<MessagePortLike, Gate>
) => {
  /** The names of one port share its gate. */
  const gateOf = (port: MessagePortLike): Gate => {
    const gate = gates.get(port) ?? new Gate(port)
    gates.set(port, gate)
    return gate
  }
  const endpointOf = (name: string, gate: Gate) => new Endpoint(name, gate, copies, channel)
  const endpoints: ReadonlyMap<string, Endpoint | ArrivingPorts> = new Map(
    Object.entries(ports).map(([name, port]) => [
      name,
      typeof port === "function" ? port : endpointOf(name, gateOf(port))
    ])
  )
  const bound = new Set<string>()
  const unknown = (name: string) => `no port is called "${name}": give it to MessagePorts.layer`

  /** Starts to listen. The effect gives the function that stops it. */
  const listen = (name: string, onAccepted: Transport.OnAccepted): Effect.Effect<() => void, BindReason> =>
    Effect.gen(function* () {
      const found = endpoints.get(name)
      if (found === undefined) return yield* new NotListenable({ detail: unknown(name) })
      if (bound.has(name)) return yield* new AddressInUse()
      const onPort = (port: MessagePortLike) => {
        const carrier = new PortCarrier(port, copies)
        if (!onAccepted(accepted(carrier, name), undefined)) carrier.closeWith(refused)
      }
      const stop =
        found instanceof Endpoint
          ? found.listen(onPort)
          : listenOnAll(found, (port) => {
              const gate = new Gate(port)
              const stopListening = endpointOf(name, gate).listen(onPort)
              return () => {
                stopListening()
                gate.release()
              }
            })
      // Not before, because the application's function may have thrown.
      bound.add(name)
      return () => {
        bound.delete(name)
        stop()
      }
    })

  return Transport.make({
    section: Schema.toType(Address.MessagePort),
    reach: () => "device",
    trusted,
    cost: 1,
    notDialable: ({ name }) => {
      const found = endpoints.get(name)
      if (found === undefined) return unknown(name)
      return typeof found === "function" ? `ports arrive at "${name}", so it is for listening` : undefined
    },
    dial: ({ name }) => {
      const found = endpoints.get(name)
      return found instanceof Endpoint ? dial(found, name) : Effect.fail(new NotDialable({ detail: unknown(name) }))
    },
    listen: ({ name }, onAccepted) =>
      Effect.as(
        Effect.acquireRelease(listen(name, onAccepted), (stop) => Effect.sync(stop)),
        { section: new Address.MessagePort({ name }) }
      )
  })
}

/**
 * The `port` transport.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { MessagePorts, Multiserver } from "effect-multiserver"
 *
 * const { port1, port2 } = new MessageChannel()
 * const speaks = (port: MessagePort) =>
 *   Multiserver.layer(["port"]).pipe(Layer.provide(MessagePorts.layer({ ports: { greeter: port } })))
 *
 * // In a worker the port is `self`, or `parentPort`.
 * const Greeter = Multiserver.layerServer("port:greeter", ({ write }) => write(new TextEncoder().encode("hello")))
 * const greeting = Effect.flatMap(Multiserver.dial("port:greeter"), ({ pull }) => pull)
 *
 * const program = greeting.pipe(
 *   Effect.provide(speaks(port1)),
 *   Effect.provide(Layer.provide(Greeter, speaks(port2))),
 *   Effect.scoped
 * )
 * console.log(new TextDecoder().decode((await Effect.runPromise(program))[0])) // hello
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Transport.Transport<"port">> =>
  Layer.effect(
    Transport.Transport("port"),
    Effect.acquireRelease(
      Effect.sync(() => new Map<MessagePortLike, Gate>()),
      (gates) =>
        Effect.sync(() => {
          for (const gate of gates.values()) gate.release()
        })
    ).pipe(Effect.map((gates) => make(options, gates)))
  )
