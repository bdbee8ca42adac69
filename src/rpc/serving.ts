/** The server's side of the RPC: reads the calls of each connection, no faster than they are answered. */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import type { FromClientEncoded, FromServerEncoded, ResponseExitEncoded } from "effect/rpc/RpcMessage"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as Connection from "../Connection.ts"
import { type ConnectionError, isDraining } from "../ConnectionError.ts"

/** How a connection's calls are bounded. */
export interface Bounds {
  /** How many calls of one connection may be unanswered. */
  readonly calls: number
  /**
   * What becomes of one call more. It waits, and so does everything behind it, which would be for ever if the calls
   * waited for what is behind them: for acknowledgements of a stream, or for another call. Or it is refused.
   */
  readonly overflow: "wait" | "refuse"
  /** What becomes of unanswered calls when the peer has ended its side. */
  readonly ended: "answer" | "interrupt"
  /** How long a connection may stay open without a call. By default for ever. */
  readonly idle?: Duration.Duration
  /** Whether this procedure answers with a stream. Nobody waits for the end of one when the listener stops. */
  readonly isStream?: (procedure: string) => boolean
}

/** A connection, as RPC knows it. */
export interface Caller {
  readonly connection: Connection.Connection
  /** Reads nothing more for so long, in milliseconds. */
  readonly pause: (millis: number) => void
}

/** RPC over any number of connections. */
export interface Serving {
  readonly protocol: RpcServer.Protocol["Service"]
  /** The caller behind the number that RPC gives it. `undefined` when it has gone. */
  readonly callerOf: (id: number) => Caller | undefined
  /** Serves one connection until its end. */
  readonly serve: (connection: Connection.Connection) => Effect.Effect<void, ConnectionError>
}

type Serialization = RpcSerialization.RpcSerialization["Service"]

/** The peer has sent something that no client sends. */
class Nonsense {
  readonly _tag = "Nonsense"
}
const nonsense = new Nonsense()

/** The most headers of one call. Decoded, a header of a few bytes takes ten times as much memory. */
const mostHeaders = 128

const never = Schema.Exit(Schema.Never, Schema.Never, Schema.Defect())

/** One connection. */
class Client implements Caller {
  readonly connection: Connection.Connection
  private readonly bounds: Bounds
  private readonly codecFor: Serialization["codecFor"]
  private readonly parser: ReturnType<Serialization["makeUnsafe"]>
  /** Has a permit for each call that may be unanswered. A call takes one, and its answer gives it back. */
  private readonly turns: Semaphore.Semaphore
  /** The unanswered calls, and whether they are streams. */
  private readonly unanswered = new Map<string | number, boolean>()
  /** How many of the unanswered calls are no streams. */
  private single = 0
  /** Open while there are none but streams. */
  private readonly quiet = Latch.makeUnsafe(true)
  private answered = 0
  private pausing = 0

  constructor(connection: Connection.Connection, bounds: Bounds, serialization: Serialization) {
    this.connection = connection
    this.bounds = bounds
    this.codecFor = serialization.codecFor
    this.parser = serialization.makeUnsafe()
    this.turns = Semaphore.makeUnsafe(bounds.calls)
  }

  pause(millis: number): void {
    this.pausing = millis
  }

  /** The messages in these bytes. Those of servers may be among them. */
  decode(chunk: Uint8Array): Effect.Effect<ReadonlyArray<FromClientEncoded>, Nonsense> {
    return Effect.try({
      try: () => this.parser.decode(chunk) as ReadonlyArray<FromClientEncoded>,
      catch: () => nonsense
    })
  }

  /** Waits until one more message may be taken, and gives it to `use`. Or refuses it. */
  take(
    message: FromClientEncoded,
    use: (message: FromClientEncoded) => Effect.Effect<void>
  ): Effect.Effect<void, Nonsense> {
    switch (message._tag) {
      case "Ping":
      case "Ack":
      case "Interrupt":
        return use(message)
      case "Request": {
        const { discard: _, ...request } = message
        const { headers, id, isNotification, tag } = request
        // Nothing tells when a notification is over. When two calls have one number, nothing tells which one is over.
        if (isNotification === true || this.unanswered.has(id)) return Effect.fail(nonsense)
        const { calls, overflow } = this.bounds
        if (overflow === "refuse" && this.unanswered.size >= calls) {
          return this.refuse(id, `at most ${calls} calls of one connection are worked on at once`)
        }
        // Another serialization may not have checked that they are there.
        if (Array.isArray(headers) && headers.length > mostHeaders) {
          return this.refuse(id, `a call has at most ${mostHeaders} headers`)
        }
        // Without its mark, a call whose result nobody wants is answered when it is over, and not when it begins.
        return this.paused.pipe(
          Effect.andThen(this.turns.take(1)),
          Effect.andThen(Effect.suspend(() => this.begin(id, tag))),
          Effect.andThen(use(request))
        )
      }
      default:
        return Effect.fail(nonsense)
    }
  }

  private readonly paused = Effect.suspend(() => {
    const millis = this.pausing
    this.pausing = 0
    return millis > 0 ? Effect.sleep(millis) : Effect.void
  })

  private begin(id: string | number, procedure: string): Effect.Effect<void> {
    const isStream = this.bounds.isStream?.(procedure) === true
    this.unanswered.set(id, isStream)
    if (!isStream && this.single++ === 0) this.quiet.closeUnsafe()
    return Effect.void
  }

  private refuse(id: string | number, why: string): Effect.Effect<void> {
    const exit = Schema.encodeUnknownSync(this.codecFor(never))(Exit.die(new Error(why)))
    return this.send({ _tag: "Exit", requestId: id, exit: exit as ResponseExitEncoded["exit"] })
  }

  /** Writes a response. If it can't be written, the connection is over, which its reader notices. */
  send(response: FromServerEncoded): Effect.Effect<void> {
    const write = Effect.suspend(() => {
      const bytes = this.parser.encode(response)
      return bytes instanceof Uint8Array ? Effect.ignore(this.connection.write(bytes)) : Effect.void
    })
    return response._tag === "Exit" ? Effect.ensuring(write, this.over(response.requestId)) : write
  }

  private over(id: string | number): Effect.Effect<unknown> {
    return Effect.suspend(() => {
      const isStream = this.unanswered.get(id)
      if (isStream === undefined) return Effect.void
      this.unanswered.delete(id)
      this.answered++
      if (!isStream && --this.single === 0) this.quiet.openUnsafe()
      return this.turns.release(1)
    })
  }

  /** Succeeds when no call was answered for the idle time. */
  whenIdle(idle: Duration.Duration): Effect.Effect<void> {
    return Effect.suspend(() => {
      const before = this.answered
      return Effect.flatMap(Effect.sleep(idle), () => (this.answered === before ? Effect.void : this.whenIdle(idle)))
    })
  }

  /** Succeeds when all calls but streams are answered. */
  get settled(): Effect.Effect<void> {
    return this.quiet.await
  }
}

export const make = (bounds: Bounds): Effect.Effect<Serving, never, RpcSerialization.RpcSerialization> =>
  Effect.gen(function* () {
    const serialization = yield* RpcSerialization.RpcSerialization
    const disconnects = yield* Queue.unbounded<number>()
    const clients = new Map<number, Client>()
    let connections = 0
    let handOn: (id: number, message: FromClientEncoded) => Effect.Effect<void> = () => Effect.void
    const protocol = yield* RpcServer.Protocol.make((write) => {
      handOn = write
      return Effect.succeed({
        disconnects,
        send: (id, response) => Effect.suspend(() => clients.get(id)?.send(response) ?? Effect.void),
        end: () => Effect.void,
        clientIds: Effect.sync(() => new Set(clients.keys())),
        initialMessage: Effect.succeedNone,
        supportsAck: true,
        supportsTransferables: false,
        supportsSpanPropagation: true,
        supportsNotifications: false,
        codecFor: serialization.codecFor
      })
    })

    const read = (id: number, client: Client): Effect.Effect<void, ConnectionError> =>
      client.connection.pull.pipe(
        Effect.flatMap((chunks) => Effect.forEach(chunks, (chunk) => client.decode(chunk))),
        Effect.flatMap((messages) =>
          Effect.forEach(messages.flat(), (message) => client.take(message, (taken) => handOn(id, taken)), {
            discard: true
          })
        ),
        Effect.forever,
        // The peer has ended its side.
        Effect.catchIf(Cause.isDone, () => (bounds.ended === "answer" ? client.settled : Effect.void)),
        Effect.catchTags({
          Nonsense: () => Connection.destroy(client.connection),
          // The listener stops: what was asked is answered.
          ConnectionError: (error) => (isDraining(error) ? client.settled : Effect.fail(error))
        })
      )

    const serve: Serving["serve"] = (connection) =>
      Effect.suspend(() => {
        const id = connections++
        const client = new Client(connection, bounds, serialization)
        clients.set(id, client)
        const gone = Effect.suspend(() => {
          clients.delete(id)
          return Queue.offer(disconnects, id)
        })
        const reading = read(id, client)
        const { idle } = bounds
        return Effect.ensuring(idle === undefined ? reading : Effect.raceFirst(reading, client.whenIdle(idle)), gone)
      })
    return { protocol, serve, callerOf: (id) => clients.get(id) }
  })
