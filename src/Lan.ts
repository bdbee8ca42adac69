/**
 * The local network: peers find each other there by the announcements of the npm package `ssb-lan`, which broadcast
 * their addresses over UDP. `source` hears them for `Lookup`, and `announce` writes them. What an announcement says:
 * docs/lookup-lan.md.
 *
 * Who announces shows its key and its address to everybody in the network. Whoever only listens shows nothing.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as AppKey from "./AppKey.ts"
import { Primitives } from "./crypto/Primitives.ts"
import { formatPublicKey, Identity, type PublicKey } from "./Identity.ts"
import type { Listener, Scopes } from "./Listener.ts"
import { type Offer, type Source, SourceError } from "./Lookup.ts"
import { Announcements, type Read } from "./lan/announcements.ts"
import * as Datagram from "./lan/datagram.ts"
import type { LanError } from "./lan/errors.ts"
import * as Interfaces from "./lan/interfaces.ts"
import { listening, sending } from "./lan/socket.ts"
import { monotonicMillis } from "./monotonic.ts"
import { printable, textOf } from "./printable.ts"

export { LanError } from "./lan/errors.ts"

/**
 * The UDP port of signed announcements.
 *
 * @category constants
 * @since 0.1.0
 */
export const signedPort = 26830

/**
 * The UDP port of announcements that nobody signed, which programs older than `ssb-lan` use.
 *
 * @category constants
 * @since 0.1.0
 */
export const legacyPort = 8008

/**
 * The ports of the local network. All its programs have to use the same ones.
 *
 * @category options
 * @since 0.1.0
 */
export interface Ports {
  /** The UDP port of signed announcements. By default `signedPort`, as `ssb-lan` has it. */
  readonly port?: number
  /**
   * Whether there are also announcements that nobody signed: `true`, or their UDP port if it is not `legacyPort`. By
   * default `false`.
   */
  readonly legacy?: boolean | number
}

const isPort = (port: number): boolean => Number.isInteger(port) && port > 0 && port < 65_536

interface KnownPorts {
  readonly signed: number
  readonly legacy: number | undefined
}

/** A port that can't be used is a defect: no other one is used in its place. */
const portsOf = ({ legacy = false, port = signedPort }: Ports): Effect.Effect<KnownPorts> => {
  const unsigned = legacy === true ? legacyPort : legacy === false ? undefined : legacy
  if (!isPort(port)) return Effect.die(new RangeError(`port: expected 1 to 65535, not ${port}`))
  if (unsigned !== undefined && (!isPort(unsigned) || unsigned === port)) {
    return Effect.die(new RangeError(`legacy: expected a port from 1 to 65535 that is not ${port}, not ${unsigned}`))
  }
  return Effect.succeed({ signed: port, legacy: unsigned })
}

const network: Effect.Effect<Datagram.Network, never, Primitives> = Effect.gen(function* () {
  return { primitives: yield* Primitives, appKey: yield* AppKey.bytes }
})

const name = "local network"

// -----------------------------------------------------------------------------
// listening
// -----------------------------------------------------------------------------

/**
 * How the local network is listened to.
 *
 * @category options
 * @since 0.1.0
 */
export interface SourceOptions extends Ports {
  /**
   * For how long an announcement counts. By default 10 seconds: programs announce themselves every 2 seconds, and
   * wireless networks lose many broadcasts.
   */
  readonly remember?: Duration.Input
  /** For how long a peer is waited for that has not been heard. By default 5 seconds. */
  readonly wait?: Duration.Input
}

/** How many announcements of a peer wait for a reader that is slow. Of more, the last ones are kept. */
const bufferSize = 16

type Waiting = Map<string, Set<(announcement: Datagram.Announcement) => void>>

/** Registers `hear` for a peer, as long as the scope. */
const register = (waiting: Waiting, peer: string, hear: (announcement: Datagram.Announcement) => void) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const readers = waiting.get(peer) ?? new Set()
      waiting.set(peer, readers.add(hear))
      return readers
    }),
    (readers) =>
      Effect.sync(() => {
        readers.delete(hear)
        if (readers.size === 0) waiting.delete(peer)
      })
  )

/**
 * A source that hears announcements in the local network, from when it is made, as long as the scope. A peer that was
 * heard lately is found at once. Another one is waited for. Only datagrams from a private network in which this machine
 * is are looked at, and only addresses at the IP of their sender count. Reads `AppKey` when it is made.
 *
 * @category constructors
 * @since 0.1.0
 */
export const source = ({
  remember = "10 seconds",
  wait = "5 seconds",
  ...ports
}: SourceOptions = {}): Effect.Effect<Source, LanError, Primitives | Scope.Scope> =>
  Effect.gen(function* () {
    const { legacy, signed } = yield* portsOf(ports)
    const own = yield* network
    const clock = yield* Clock.Clock
    const announcements = new Announcements(Duration.toMillis(remember))
    const neighbours = new Interfaces.Neighbours()
    const waiting: Waiting = new Map()
    let fault: LanError | undefined

    const hearing = (port: number, read: Read) =>
      listening(
        port,
        (bytes, sender) => {
          const now = monotonicMillis(clock)
          if (!neighbours.has(sender, now)) return
          const announcement = announcements.hear(bytes, sender, read, now)
          if (announcement === undefined) return
          for (const hear of waiting.get(formatPublicKey(announcement.publicKey)) ?? []) hear(announcement)
        },
        (error) => {
          fault = error
        }
      )
    yield* hearing(signed, (bytes, sender) => Datagram.readSigned(own, bytes, sender))
    if (legacy !== undefined) yield* hearing(legacy, Datagram.readUnsigned)

    const find = (key: PublicKey): Stream.Stream<Offer, SourceError> =>
      Stream.callback(
        (queue) =>
          Effect.gen(function* () {
            if (fault !== undefined) {
              const { message } = fault
              return yield* new SourceError({ source: name, detail: message, isRetryable: false, cause: fault })
            }
            // Peers announce themselves again and again: each place is given once.
            const given = new Set<string>()
            const give = ({ addresses }: Datagram.Announcement) => {
              const place = addresses.join(";")
              if (!given.has(place)) Queue.offerUnsafe(queue, { _tag: "Heard", addresses })
              given.add(place)
            }
            yield* register(waiting, formatPublicKey(key), give)
            const known = announcements.of(key, monotonicMillis(clock)).slice(0, bufferSize)
            for (const each of known) give(each)
            if (known.length === 0) yield* Effect.sleep(wait)
            return yield* Queue.end(queue)
          }),
        { bufferSize, strategy: "sliding" }
      )
    return { name, near: true, find }
  })

// -----------------------------------------------------------------------------
// announcing
// -----------------------------------------------------------------------------

/**
 * How a listener is announced.
 *
 * @category options
 * @since 0.1.0
 */
export interface AnnounceOptions extends Ports {
  /** How often. By default every 2 seconds, as `ssb-lan` does. */
  readonly every?: Duration.Input
  /** Which addresses of the listener are announced. By default `local`, those in private networks. */
  readonly scope?: Scopes
}

const nothing =
  "nothing is announced, because the listener has no address with the key of Identity at an IPv4 of a private network"

/**
 * Announces the listener's addresses in the local network, again and again as long as the scope. In each network only
 * the addresses at this machine's IPv4 there are announced, and only those that name the key of `Identity`, which signs
 * the announcements. What can't be announced is logged once, and tried again. Reads `AppKey` when it is run.
 *
 * @category combinators
 * @since 0.1.0
 */
export const announce = (
  listener: Pick<Listener, "addresses">,
  { every = "2 seconds", scope = "local", ...ports }: AnnounceOptions = {}
): Effect.Effect<void, LanError, Identity | Primitives | Scope.Scope> =>
  Effect.gen(function* () {
    const { legacy, signed } = yield* portsOf(ports)
    const identity = yield* Identity
    const own = yield* network
    const peer = formatPublicKey(identity.publicKey)
    const send = yield* sending

    /** What is sent where. */
    const datagrams = () => {
      const addresses = listener.addresses(scope).filter((address) => Datagram.isAddressOf(address, peer))
      return Interfaces.current().flatMap(({ broadcast, host }) => {
        const text = Datagram.textOf(addresses.filter((address) => Datagram.hostOf(address) === host))
        if (broadcast === undefined || text === undefined) return []
        return [
          { bytes: Datagram.writeSigned(own, identity, text), port: signed, host: broadcast },
          ...(legacy === undefined ? [] : [{ bytes: Datagram.writeUnsigned(text), port: legacy, host: broadcast }])
        ]
      })
    }
    let said: string | undefined
    const warn = (what: string | undefined) => {
      const isNews = what !== said
      said = what
      return what === undefined || !isNews ? Effect.void : Effect.logWarning(`local network: ${what}`)
    }
    const once = Effect.gen(function* () {
      const all = datagrams()
      if (all.length === 0) return yield* warn(nothing)
      const failures = yield* Effect.forEach(all, ({ bytes, host, port }) =>
        Effect.match(send(bytes, port, host), {
          onSuccess: () => [],
          onFailure: ({ code }) => [`${host} can't be reached (${code})`]
        })
      )
      return yield* warn(failures.flat().join(", ") || undefined)
    }).pipe(
      Effect.catchDefect((defect) => warn(`the listener does not say its addresses: ${printable(textOf(defect))}`))
    )
    yield* Effect.forkScoped(Effect.repeat(once, Schedule.spaced(every)))
  })
