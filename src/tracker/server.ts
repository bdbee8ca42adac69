/** What a tracker keeps, takes and answers. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { type AddressRecord, records as recordsOf } from "../AddressRecord.ts"
import { AddressRecords, type Options as RecordsOptions } from "../AddressRecords.ts"
import { type Connection, destroy } from "../Connection.ts"
import type { ConnectionError } from "../ConnectionError.ts"
import type { Primitives } from "../crypto/Primitives.ts"
import { uncheckedPublicKey } from "../crypto/publicKey.ts"
import { formatPublicKey } from "../Identity.ts"
import { Limits } from "../Limits.ts"
import { monotonicNow } from "../monotonic.ts"
import { positive } from "../positive.ts"
import * as Serving from "../rpc/serving.ts"
import { nowSeconds } from "../sinceEpoch.ts"
import {
  BadRecord,
  Conflict,
  Expired,
  Older,
  OtherPeer,
  Procedures,
  serialization,
  TooOften,
  TrackerError
} from "./procedures.ts"
import { type Rate, Rates } from "./rates.ts"

/**
 * How much a tracker keeps, and how much it does for each caller.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * How much is kept: by default the records of 10,000 keys, in some 15 MB, each for at most two hours. Peers publish
   * again every 20 minutes.
   */
  readonly records?: RecordsOptions
  /**
   * How often one key and one IP may ask. By default 100 times at once, and 10 times a second: a program that dials
   * many peers stays below it.
   */
  readonly finds?: Rate
  /**
   * How often one key and one IP may publish. By default 50 times at once, and then every 10 seconds: 120 peers behind
   * one IP can publish every 20 minutes, and one IP can fill 8% of the default records.
   */
  readonly publications?: Rate
  /** How many calls of one connection are worked on at once. Further ones are not read meanwhile. By default 8. */
  readonly calls?: number
  /** How long a connection may stay open without a call. By default 2 minutes. */
  readonly idle?: Duration.Input
}

/** Who calls. */
interface Caller {
  /** The key that it has proved, base64. */
  readonly key: string
  /** The IP that it comes from, or what else the transport knows its origin by. */
  readonly source: string | undefined
  readonly pause: (millis: number) => void
}

const refuse = (reason: TrackerError["reason"]) => Effect.fail(new TrackerError({ reason }))

/** The longest time for which nothing is read after a refusal, in milliseconds. */
const longestPause = 1000

/** Takes a token, or refuses. */
const limited = (rates: Rates, { key, pause, source }: Caller): Effect.Effect<void, TrackerError> =>
  Effect.flatMap(monotonicNow, (now) => {
    const retryAfter = rates.take(key, source, now)
    if (retryAfter === 0) return Effect.void
    pause(Math.min(retryAfter, longestPause))
    return refuse(new TooOften({ retryAfter }))
  })

/**
 * The handler of a tracker's connections, for a listener of your own. Its stacks have to prove keys: a connection of a
 * peer that has proved none is ended. The records live as long as the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({
  calls = 8,
  finds = { burst: 100, every: "100 millis" },
  idle = "2 minutes",
  publications = { burst: 50, every: "10 seconds" },
  records = {}
}: Options = {}): Effect.Effect<
  (connection: Connection) => Effect.Effect<void, ConnectionError>,
  never,
  Primitives | Scope.Scope
> =>
  Effect.gen(function* () {
    const longest = Duration.fromInputUnsafe(idle)
    positive({ calls, idle: Duration.toMillis(longest) })
    // Its procedures don't wait for each other and have no streams: so further calls can wait.
    const bounds = { calls, idle: longest, overflow: "wait", ended: "answer" } as const
    const { exemptLoopback } = yield* Limits
    const wire = yield* recordsOf
    const kept = new AddressRecords({ keys: 10_000, longest: 2 * 3600, ...records })
    const findRates = new Rates(finds, exemptLoopback)
    const publishRates = new Rates(publications, exemptLoopback)
    const context = yield* Layer.build(serialization)
    const serving = yield* Effect.provideContext(Serving.make(bounds), context)

    const take = (record: AddressRecord, now: number): Effect.Effect<void, TrackerError> => {
      const { expires, publicKey, sequence } = record
      if (expires <= now) return refuse(new Expired({ expires }))
      switch (kept.add(record, now)) {
        case "older":
          return refuse(new Older({ sequence: kept.get(publicKey)?.sequence ?? sequence }))
        case "conflict":
          return refuse(new Conflict({ sequence }))
        default:
          return Effect.void
      }
    }

    const publish = (caller: Caller, bytes: Uint8Array): Effect.Effect<void, TrackerError> =>
      Effect.gen(function* () {
        yield* limited(publishRates, caller)
        const record = wire.decode(bytes)
        if (Result.isFailure(record)) {
          const { reason } = record.failure
          return yield* refuse(new BadRecord({ tag: reason._tag, detail: reason.message }))
        }
        if (formatPublicKey(record.success.publicKey) !== caller.key) return yield* refuse(new OtherPeer())
        yield* take(record.success, yield* nowSeconds)
      })

    const find = (caller: Caller, key: Uint8Array): Effect.Effect<ReadonlyArray<Uint8Array>, TrackerError> =>
      Effect.gen(function* () {
        yield* limited(findRates, caller)
        const record = kept.get(uncheckedPublicKey(key))
        return record === undefined || record.expires <= (yield* nowSeconds) ? [] : [record.bytes]
      })

    /** For the caller of this number. One that has gone needs no answer. */
    const from = <A>(id: number, answer: (caller: Caller) => Effect.Effect<A, TrackerError>) => {
      const caller = serving.callerOf(id)
      if (caller === undefined || caller.connection.peer._tag !== "Authenticated") return Effect.interrupt
      const {
        connection,
        connection: { peer }
      } = caller
      return answer({
        key: formatPublicKey(peer.publicKey),
        source: connection.source,
        pause: (millis) => caller.pause(millis)
      })
    }
    const handlers = Procedures.toLayer({
      Publish: ({ record }, { client }) => from(client.id, (caller) => publish(caller, record)),
      Find: ({ key }, { client }) => from(client.id, (caller) => find(caller, key))
    })
    yield* Layer.build(
      // Spans would be named by the callers, who are anybody.
      RpcServer.layer(Procedures, { disableTracing: true, disableFatalDefects: true }).pipe(
        Layer.provide([handlers, Layer.succeed(RpcServer.Protocol, serving.protocol)])
      )
    )
    const dropExpired = Effect.map(nowSeconds, (now) => kept.dropExpired(now))
    yield* Effect.forkScoped(Effect.repeat(dropExpired, Schedule.spaced("1 minute")))
    return (connection) => (connection.peer._tag === "Authenticated" ? serving.serve(connection) : destroy(connection))
  })
