/** The server's side of the RPC: reads the calls of each connection, no faster than they are answered. */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { FromClientEncoded, FromServerEncoded } from "effect/rpc/RpcMessage"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Semaphore from "effect/Semaphore"
import * as Connection from "../Connection.ts"
import { type ConnectionError, isDraining } from "../ConnectionError.ts"
import { formatPublicKey } from "../Identity.ts"

/** Who calls. */
export interface Caller {
  /** The key that it has proved, base64. */
  readonly key: string
  /** The IP that it comes from, or what else the transport knows its origin by. */
  readonly source: string | undefined
  /** Reads nothing more for so long, in milliseconds. */
  readonly pause: (millis: number) => void
}

/** How a connection's calls are bounded. */
export interface Bounds {
  /** How many calls of one connection may be unanswered. */
  readonly calls: number
  /** How long a connection may stay open without a call. */
  readonly idle: Duration.Duration
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

/** The peer has sent what no client of a tracker sends. */
class Nonsense {
  readonly _tag = "Nonsense"
}
const nonsense = new Nonsense()

/** One connection. */
class Client {
  readonly caller: Caller
  readonly connection: Connection.Connection
  /** A turn for each call that may be unanswered. */
  readonly turns: Semaphore.Semaphore
  readonly bounds: Bounds
  private readonly parser: ReturnType<Serialization["makeUnsafe"]>
  private readonly unanswered = new Set<string | number>()
  private answered = 0
  private pausing = 0

  constructor(connection: Connection.Connection, key: string, bounds: Bounds, serialization: Serialization) {
    this.connection = connection
    this.bounds = bounds
    this.parser = serialization.makeUnsafe()
    this.turns = Semaphore.makeUnsafe(bounds.calls)
    const pause = (millis: number) => {
      this.pausing = millis
    }
    this.caller = { key, source: connection.source, pause }
  }

  /** The messages in these bytes. Those of servers may be among them. */
  decode(chunk: Uint8Array): Effect.Effect<ReadonlyArray<FromClientEncoded>, Nonsense> {
    return Effect.try({
      try: () => this.parser.decode(chunk) as ReadonlyArray<FromClientEncoded>,
      catch: () => nonsense
    })
  }

  /** Waits until one more message may be taken. */
  admit(message: FromClientEncoded): Effect.Effect<void, Nonsense> {
    switch (message._tag) {
      case "Ping":
      case "Ack":
      case "Interrupt":
        return Effect.void
      case "Request": {
        const { discard, id, isNotification } = message
        // Of these it is not known when they are over.
        if (isNotification === true || discard === true || this.unanswered.has(id)) return Effect.fail(nonsense)
        return this.paused.pipe(
          Effect.andThen(this.turns.take(1)),
          Effect.andThen(Effect.sync(() => void this.unanswered.add(id)))
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
      if (!this.unanswered.delete(id)) return Effect.void
      this.answered++
      return this.turns.release(1)
    })
  }

  /** Succeeds when no call was answered for the idle time. */
  readonly whenIdle: Effect.Effect<void> = Effect.suspend(() => {
    const before = this.answered
    return Effect.flatMap(Effect.sleep(this.bounds.idle), () =>
      this.answered === before ? Effect.void : this.whenIdle
    )
  })

  /** Succeeds when all calls are answered. */
  readonly settled: Effect.Effect<void> = Effect.suspend(() => Effect.asVoid(this.turns.take(this.bounds.calls)))
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
        supportsSpanPropagation: false,
        supportsNotifications: false,
        codecFor: serialization.codecFor
      })
    })

    const take = (id: number, client: Client, message: FromClientEncoded) =>
      Effect.andThen(client.admit(message), handOn(id, message))

    const read = (id: number, client: Client): Effect.Effect<void, ConnectionError> =>
      client.connection.pull.pipe(
        Effect.flatMap((chunks) => Effect.forEach(chunks, (chunk) => client.decode(chunk))),
        Effect.flatMap((messages) =>
          Effect.forEach(messages.flat(), (message) => take(id, client, message), { discard: true })
        ),
        Effect.forever,
        // The peer has ended its side, or the listener stops: what was asked is answered.
        Effect.catchIf(Cause.isDone, () => client.settled),
        Effect.catchTags({
          Nonsense: () => Connection.destroy(client.connection),
          ConnectionError: (error) => (isDraining(error) ? client.settled : Effect.fail(error))
        })
      )

    const serve: Serving["serve"] = (connection) =>
      Effect.suspend(() => {
        const { peer } = connection
        // The listener was checked: only a transform that breaks its promise comes here.
        if (peer._tag !== "Authenticated") return Connection.destroy(connection)
        const id = connections++
        const client = new Client(connection, formatPublicKey(peer.publicKey), bounds, serialization)
        clients.set(id, client)
        const gone = Effect.suspend(() => {
          clients.delete(id)
          return Queue.offer(disconnects, id)
        })
        return Effect.raceFirst(read(id, client), client.whenIdle).pipe(Effect.ensuring(gone))
      })
    return { protocol, serve, callerOf: (id) => clients.get(id)?.caller }
  })
