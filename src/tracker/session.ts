/** The client's side of the RPC: the calls over one connection to a tracker. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as RpcClient from "effect/rpc/RpcClient"
import { RpcClientDefect, RpcClientError } from "effect/rpc/RpcClientError"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type { FromClientEncoded, FromServerEncoded } from "effect/rpc/RpcMessage"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import type * as Scope from "effect/Scope"
import * as Connection from "../Connection.ts"
import { monotonicMillis } from "../monotonic.ts"
import { maxMessage, Procedures, serialization } from "./procedures.ts"

/** Why a session is over. */
export interface Ending {
  readonly detail: string
  readonly isRetryable: boolean
  readonly cause?: unknown
}

/** The calls over one connection. */
export interface Session {
  readonly connection: Connection.Connection
  readonly calls: RpcClient.RpcClient<RpcGroup.Rpcs<typeof Procedures>, RpcClientError>
  /** For how many milliseconds calls have waited without an answer to any of them. */
  readonly silence: () => number
  /** `undefined` while it goes on. */
  readonly ending: () => Ending | undefined
  /** Succeeds when it does not go on. Then its scope can be closed. */
  readonly over: Effect.Effect<void>
}

/** The tracker has said goodbye. So does this side, when the scope closes. */
const ended: Ending = { detail: "it has ended the connection", isRetryable: true }

export const nonsense: Ending = { detail: "it does not speak as a tracker does", isRetryable: false }

/** What a message may have besides its content: its length. */
const frameBytes = 16

type Serialization = RpcSerialization.RpcSerialization["Service"]

/**
 * The messages of one connection. Each call allows the tracker to send one message. When it sends more, or anything but
 * answers, the connection is destroyed and all calls fail.
 */
class Messages {
  ending: Ending | undefined
  private readonly connection: Connection.Connection
  private readonly parser: ReturnType<Serialization["makeUnsafe"]>
  private readonly clock: Clock.Clock
  /** How many bytes the tracker may still send. */
  private allowed = 0
  private unanswered = 0
  private waitingSince = 0

  constructor(connection: Connection.Connection, serialization: Serialization, clock: Clock.Clock) {
    this.connection = connection
    this.parser = serialization.makeUnsafe()
    this.clock = clock
  }

  silence(): number {
    return this.unanswered === 0 ? 0 : monotonicMillis(this.clock) - this.waitingSince
  }

  send(message: FromClientEncoded): Effect.Effect<void, RpcClientError> {
    return Effect.suspend(() => {
      if (this.ending !== undefined) return Effect.fail(failure(this.ending))
      // When a call is given up, the tracker is not told. Its answer is ignored.
      const bytes = message._tag === "Request" ? this.parser.encode(message) : undefined
      if (!(bytes instanceof Uint8Array)) return Effect.void
      this.allowed += maxMessage + frameBytes
      if (this.unanswered++ === 0) this.waitingSince = monotonicMillis(this.clock)
      return Effect.catch(this.connection.write(bytes), (cause) =>
        Effect.fail(failure({ detail: cause.message, isRetryable: true, cause }))
      )
    })
  }

  /** Reads answers until the session is over. */
  read(answer: (message: FromServerEncoded) => Effect.Effect<void>): Effect.Effect<Ending> {
    return this.connection.pull.pipe(
      Effect.flatMap((chunks) => Effect.forEach(chunks, (chunk) => this.decode(chunk))),
      Effect.flatMap((messages) =>
        Effect.forEach(messages.flat(), (message) => Effect.flatMap(this.check(message), answer), { discard: true })
      ),
      Effect.forever,
      Effect.catchIf(Cause.isDone, () => Effect.succeed(ended)),
      Effect.catchTag("ConnectionError", (cause) =>
        Effect.succeed({ detail: cause.message, isRetryable: true, cause })
      ),
      Effect.catch(Effect.succeed<Ending>),
      Effect.tap((ending) =>
        Effect.sync(() => {
          this.ending ??= ending
        })
      )
    )
  }

  private decode(chunk: Uint8Array): Effect.Effect<ReadonlyArray<FromServerEncoded>, Ending> {
    this.allowed -= chunk.length
    if (this.allowed < 0) return Effect.fail({ detail: "it sends more than it was asked for", isRetryable: false })
    return Effect.try({
      try: () => this.parser.decode(chunk) as ReadonlyArray<FromServerEncoded>,
      catch: (cause) => ({ ...nonsense, cause })
    })
  }

  private check(message: FromServerEncoded): Effect.Effect<FromServerEncoded, Ending> {
    if (message._tag !== "Exit") return Effect.fail(nonsense)
    this.unanswered = Math.max(0, this.unanswered - 1)
    this.waitingSince = monotonicMillis(this.clock)
    return Effect.succeed(message)
  }
}

const failure = ({ cause, detail }: Ending): RpcClientError =>
  new RpcClientError({ reason: new RpcClientDefect({ message: detail, cause }) })

/** Makes the calls of a connection, as long as the scope. */
export const make = (connection: Connection.Connection): Effect.Effect<Session, never, Scope.Scope> =>
  Effect.gen(function* () {
    const serialized = yield* RpcSerialization.RpcSerialization
    const messages = new Messages(connection, serialized, yield* Clock.Clock)
    const over = Latch.makeUnsafe(false)
    const protocol = yield* RpcClient.Protocol.make((deliver) => {
      // The number of the only client. Its answers are kept until it runs.
      let client: number | undefined
      const toClient = (message: FromServerEncoded) =>
        Effect.suspend(() => (client === undefined ? Effect.void : deliver(client, message)))
      return messages.read(toClient).pipe(
        Effect.tap((ending) => (ending === ended ? Effect.void : Connection.destroy(connection))),
        Effect.flatMap((ending) => toClient({ _tag: "ClientProtocolError", error: failure(ending) })),
        Effect.andThen(over.open),
        Effect.forkScoped,
        Effect.as({
          send: (id: number, message: FromClientEncoded) =>
            Effect.suspend(() => {
              client = id
              return messages.send(message)
            }),
          supportsAck: false,
          supportsTransferables: false,
          codecFor: serialized.codecFor
        })
      )
    })
    const calls = yield* Effect.provideService(
      RpcClient.make(Procedures, { disableTracing: true }),
      RpcClient.Protocol,
      protocol
    )
    return {
      connection,
      calls,
      silence: () => messages.silence(),
      ending: () => messages.ending,
      over: over.await
    }
  }).pipe(Effect.provide(serialization))
