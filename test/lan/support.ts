/** What the tests of the local network share. All of it happens on the loopback, where 127.0.0.0/8 is the network. */
import * as dgram from "node:dgram"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as AppKey from "../../src/AppKey.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Identity from "../../src/Identity.ts"
import type { Network } from "../../src/lan/datagram.ts"
import { primitives } from "../support/primitives.ts"

/** Where everybody on the loopback is reached. */
export const broadcast = "127.255.255.255"

export const network: Network = { primitives, appKey: Effect.runSync(AppKey.bytes) }

export const keyPair: Effect.Effect<Identity.KeyPair> = Effect.provide(Identity.generate, Sodium.layer)

/** An address of the key at a host of the loopback. */
export const addressAt = (host: string, { publicKey }: Identity.KeyPair, port = 8008): string =>
  `net:${host}:${port}~shs:${Identity.formatPublicKey(publicKey)}`

/** A socket that is bound, for as long as the scope. */
export const bound = (options: dgram.BindOptions, reuseAddr = false): Effect.Effect<dgram.Socket, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<dgram.Socket>((resume) => {
      const socket = dgram.createSocket({ type: "udp4", reuseAddr })
      socket.bind(options, () => resume(Effect.succeed(socket)))
    }),
    (socket) => Effect.callback<void>((resume) => void socket.close(() => resume(Effect.void)))
  )

/** A UDP port that nobody uses. */
export const freePort: Effect.Effect<number> = Effect.scoped(
  Effect.map(bound({ port: 0, address: "0.0.0.0" }), (socket) => socket.address().port)
)

/** Sends datagrams to everybody on the loopback, from an IP of it. */
export const from = (host: string, port: number) =>
  Effect.map(bound({ port: 0, address: host }), (socket) => {
    socket.setBroadcast(true)
    return (...all: ReadonlyArray<Uint8Array>) =>
      Effect.forEach(
        all,
        (bytes) =>
          Effect.callback<void>((resume) => void socket.send(bytes, port, broadcast, () => resume(Effect.void))),
        { discard: true }
      )
  })
