/** How members of a cluster reach each other: the connection of a call to a runner, and the sockets of a runner. */

import { RpcClientProtocol } from "effect/cluster/Runners"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { RpcSerialization } from "effect/rpc/RpcSerialization"
import * as Schedule from "effect/Schedule"
import type * as Socket from "effect/socket/Socket"
import type { SocketServer } from "effect/socket/SocketServer"
import { toSocket } from "../bridge/MultiserverSocket.ts"
import { Accepted, fromListener } from "../bridge/MultiserverSocketServer.ts"
import { type Connection, destroy } from "../Connection.ts"
import type { Listener } from "../Listener.ts"
import { isRetryable, Multiserver } from "../Multiserver.ts"
import * as Protocol from "../rpc/protocol.ts"
import { Members } from "./members.ts"
import { dialable } from "./storage.ts"

/**
 * When a runner is dialed again. Once a second at most, so that one that has started again is found soon. After a
 * failure that another dial can't help, such as a refusal, every 10 seconds: the lists of keys may change.
 */
const again = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("1 second")]).pipe(
  Schedule.modifyDelay(({ duration, input }: Schedule.Metadata<unknown, Socket.SocketError>) =>
    Effect.succeed(input.reason._tag !== "SocketOpenError" || isRetryable(input) ? duration : "10 seconds")
  )
)

/** Dials a runner when its key is on the list: what protects best first, and only where that key is proved. */
export const layerClientProtocol: Layer.Layer<RpcClientProtocol, never, RpcSerialization | Multiserver | Members> =
  Layer.effect(
    RpcClientProtocol,
    Effect.gen(function* () {
      const serialization = yield* RpcSerialization
      const multiserver = yield* Multiserver
      const members = yield* Members
      return {
        codecFor: serialization.codecFor,
        make: (address) =>
          Effect.flatMap(
            toSocket(
              // A refusal in the turn in which the client is made would leave its first call without an answer.
              Effect.yieldNow.pipe(
                Effect.andThen(dialable(members, address)),
                Effect.flatMap(({ addresses, key }) => multiserver.dial(addresses, { plan: "strongest", peer: key }))
              )
            ),
            (socket) =>
              Effect.provideService(Protocol.make(socket, { retryPolicy: again }), RpcSerialization, serialization)
          )
      }
    })
  )

/** The sockets of members, and what breaks them all off. */
export interface MemberSockets {
  readonly server: SocketServer["Service"]
  /** Breaks all connections off, takes no more, and waits until none is served. */
  readonly breakOff: Effect.Effect<void>
}

/**
 * The sockets of members. A stranger's connection is destroyed before any byte of it is read, also where `authorize` of
 * the Multiserver's layer has let it in.
 *
 * When Effect's `RpcServer` stops, it answers each call that is under way with an interruption, and the caller then
 * takes its persisted call back. When the connection breaks instead, the caller waits for whoever runs the entity next.
 */
export const memberSockets = (listener: Listener, { isMember }: Members["Service"]): MemberSockets => {
  const server = fromListener(listener)
  const stopping = Latch.makeUnsafe()
  const idle = Latch.makeUnsafe(true)
  let served = 0

  const serve = <E, R>(connection: Connection, handling: Effect.Effect<unknown, E, R>) =>
    Effect.suspend(() => {
      served += 1
      idle.closeUnsafe()
      return Effect.raceFirst(handling, Effect.andThen(stopping.await, destroy(connection)))
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          served -= 1
          if (served === 0) idle.openUnsafe()
        })
      )
    )

  return {
    breakOff: Effect.andThen(stopping.open, idle.await),
    server: {
      ...server,
      run: (handler) =>
        server.run((socket) =>
          Effect.gen(function* () {
            const accepted = Option.getOrUndefined(yield* Effect.serviceOption(Accepted))
            if (accepted === undefined) return yield* Effect.void
            const { peer, remote } = accepted
            if (peer._tag === "Authenticated" && (yield* isMember(peer.publicKey))) {
              return yield* serve(accepted, handler(socket))
            }
            yield* Effect.logWarning(
              `A stranger from ${remote} was let in, and is put out: authorize by Cluster.authorize`
            )
            return yield* destroy(accepted)
          })
        )
    }
  }
}
