/** The exchanges of a node with its peers: those that it begins, and those that it serves. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { format } from "../Address.ts"
import { type Connection, destroy } from "../Connection.ts"
import type { Sink } from "../Events.ts"
import { formatPublicKey } from "../Identity.ts"
import type { Multiserver } from "../Multiserver.ts"
import { monotonicNow } from "../monotonic.ts"
import { nowSeconds } from "../sinceEpoch.ts"
import { converse } from "./converse.ts"
import { begin, listening, type Node, type Step } from "./exchange.ts"
import type { Fault } from "./fault.ts"
import { identify, type Listed } from "./list.ts"
import type { Door } from "./peers.ts"

/** What the exchanges of a node share. */
export interface Talk {
  readonly source: string
  readonly multiserver: Multiserver["Service"]
  readonly list: ReadonlyArray<Listed>
  readonly node: Node
  readonly door: Door
  /** How long an exchange may take. */
  readonly patience: Duration.Duration
  readonly emit: Sink
}

/** Tells of a fault. Of a dial that failed, the Multiserver has told. */
const tell = (
  { emit, source }: Talk,
  role: "dial" | "listen",
  remote: string,
  peer: string | undefined,
  { _tag, detail }: Fault
): Effect.Effect<void> =>
  _tag === "Unreachable" ? Effect.void : emit({ _tag: "GossipDropped", source, role, remote, peer, tag: _tag, detail })

const onTaken =
  ({ emit, source }: Talk) =>
  ({ record, verdict }: NonNullable<Step["taken"]>): Effect.Effect<void> => {
    if (verdict !== "conflict") return Effect.void
    const { publicKey, sequence } = record
    return emit({ _tag: "RecordConflict", source, peer: formatPublicKey(publicKey), sequence })
  }

const inTime = <A, R>({ patience }: Talk, effect: Effect.Effect<A, Fault, R>): Effect.Effect<A, Fault, R> =>
  Effect.timeoutOrElse(effect, {
    duration: patience,
    orElse: () =>
      Effect.fail<Fault>({ _tag: "TimedOut", detail: `it took longer than ${Duration.toMillis(patience)} ms` })
  })

/** Dials a peer and has an exchange with it. The success is the fault, if there was one. */
export const visit = (talk: Talk, { addresses, key, text }: Listed): Effect.Effect<Fault | undefined> =>
  Effect.gen(function* () {
    const connection = yield* Effect.mapError(
      talk.multiserver.dial(addresses),
      ({ message }): Fault => ({ _tag: "Unreachable", detail: message })
    )
    yield* Effect.fromResult(identify(connection, talk.list))
    yield* converse(talk.node, connection, begin(talk.node, yield* nowSeconds), onTaken(talk))
  }).pipe(
    Effect.scoped,
    (exchange) => inTime(talk, exchange),
    Effect.matchEffect({
      onSuccess: () => Effect.undefined,
      onFailure: (fault) => Effect.as(tell(talk, "dial", text, key && formatPublicKey(key), fault), fault)
    })
  )

const provedKey = ({ peer }: Connection): string | undefined =>
  peer._tag === "Authenticated" ? formatPublicKey(peer.publicKey) : undefined

/** Has the exchange that a peer begins. It never fails: a peer that is at fault is cut off, without a goodbye. */
export const serve = (talk: Talk, connection: Connection): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { isCounted, name } = yield* Effect.fromResult(identify(connection, talk.list))
    const now = yield* monotonicNow
    const exchange = Effect.suspend(() => converse(talk.node, connection, listening, onTaken(talk)))
    yield* Effect.acquireUseRelease(
      Effect.suspend(() => Effect.fromResult(talk.door.enter(name, isCounted, now))),
      () => inTime(talk, exchange),
      () => Effect.sync(() => talk.door.leave(name))
    )
  }).pipe(
    Effect.catch((fault) =>
      Effect.andThen(destroy(connection), tell(talk, "listen", format(connection.remote), provedKey(connection), fault))
    )
  )
