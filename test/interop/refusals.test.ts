/** Who may not talk, and who attacks: one typed event or error on our side, and the next peer is served. */
import { createHmac } from "node:crypto"
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { formatPublicKey } from "../../src/Identity.ts"
import { pattern, sameBytes } from "../support/servers.ts"
import { appKeyBytes, exchange, identity, otherAppKey, ours, refusal, replyWhole, sharedTheirs } from "./setup.ts"

const theirs = sharedTheirs()

const stranger = identity(11)

/** The address, with a key in it that is not its server's. */
const misnamed = (address: string) => address.replace(/shs:.*$/, `shs:${stranger.publicKey}`)

/**
 * Hellos that pass for one of this network's, with points of small order for keys: X25519 gives an all-zero secret with
 * them, and libsodium refuses. A multiserver 3.8.2 process dies of either.
 */
const smallOrderHellos = [0, 1].map((first) => {
  const key = Buffer.alloc(32)
  key[0] = first
  return Buffer.concat([createHmac("sha512", appKeyBytes).update(key).digest().subarray(0, 32), key])
})

describe("a server of ours", () => {
  const setup = Effect.gen(function* () {
    const { dial, next } = yield* theirs
    const us = yield* ours(({ publicKey }) => Effect.succeed(formatPublicKey(publicKey) !== stranger.publicKey))
    const address = yield* us.serve("net~shs", replyWhole)
    /** Nothing else has happened, and npm multiserver comes in. */
    const servesTheNext = Effect.gen(function* () {
      yield* dial(address)
      const { error, received, sent } = yield* next("exchanged")
      assert.deepStrictEqual({ error, received }, { error: null, received: sent })
      yield* us.next("Connected")
      assert.strictEqual((yield* us.next("Closed")).tag, "end")
    })
    return { address, dial, next, servesTheNext, us }
  })

  it.live("turns away wrong peers, each with one event that has the reason, and serves the next", () =>
    Effect.gen(function* () {
      const { address, dial, next, servesTheNext, us } = yield* setup
      const turnedAway = [
        ["WrongNetwork", dial(address, { appKey: otherAppKey })],
        ["PeerMisbehaved", dial(misnamed(address))],
        ["NotAuthorized", dial(address, { seed: stranger.seed })]
      ] as const
      for (const [tag, attempt] of turnedAway) {
        yield* attempt
        yield* next("failed")
        assert.strictEqual((yield* us.next("HandshakeFailed")).tag, tag)
        yield* servesTheNext
      }
    })
  )

  /** Sends bytes, and gives what comes back until the other end hangs up. */
  const send = (address: string, bytes: Uint8Array) =>
    Effect.callback<Buffer>((resume) => {
      const [, host, port] = address.split(/[:~]/)
      const answer: Array<Buffer> = []
      const socket = net.connect(Number(port), host)
      socket.on("data", (chunk) => answer.push(chunk))
      socket.on("error", () => {})
      socket.on("close", () => resume(Effect.succeed(Buffer.concat(answer))))
      socket.write(bytes)
      return Effect.sync(() => socket.destroy())
    })

  it.live("answers nothing to a key of small order, and serves the next", () =>
    Effect.gen(function* () {
      const { address, servesTheNext, us } = yield* setup
      for (const hello of smallOrderHellos) {
        assert.strictEqual((yield* send(address, hello)).length, 0)
        assert.strictEqual((yield* us.next("HandshakeFailed")).tag, "PeerMisbehaved")
        yield* servesTheNext
      }
    })
  )
})

describe("a dial of ours", () => {
  const setup = Effect.gen(function* () {
    const { next, serve } = yield* theirs
    const us = yield* ours()
    const address = yield* serve()
    /** Fails with this and one event. */
    const fails = (target: string, reason: string) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* refusal(us.dial(target)), reason)
        yield* us.next("DialFailed")
      })
    /** Nothing else has happened, and npm multiserver is reached. */
    const reachesTheNext = Effect.gen(function* () {
      const body = pattern(10)
      const echo = yield* Effect.scoped(Effect.flatMap(us.dial(address), (connection) => exchange(connection, body)))
      assert.isTrue(sameBytes(echo, body))
      yield* next("exchanged")
      yield* us.next("Connected")
      assert.strictEqual((yield* us.next("Closed")).tag, "end")
    })
    return { address, reachesTheNext, fails, next, serve }
  })

  it.live("says of a refusal all that shs lets a dialer know", () =>
    Effect.gen(function* () {
      const { address, reachesTheNext, fails, next, serve } = yield* setup
      const refusals = [
        [yield* serve({ appKey: otherAppKey }), "Rejected(hello)"],
        [misnamed(address), "Rejected(auth)"],
        [yield* serve({ allow: [stranger.publicKey] }), "Rejected(auth)"]
      ] as const
      for (const [target, reason] of refusals) {
        yield* fails(target, reason)
        yield* next("failed")
        yield* reachesTheNext
      }
    })
  )

  /** A server that answers the first bytes with these. */
  const hostile = (answer: Uint8Array) =>
    Effect.acquireRelease(
      Effect.callback<net.Server>((resume) => {
        const server = net.createServer((socket) => {
          socket.on("error", () => {})
          socket.once("data", () => socket.write(answer))
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    ).pipe(
      Effect.map((server) => {
        const bound = server.address()
        const port = typeof bound === "object" ? bound?.port : undefined
        return `net:127.0.0.1:${port}~shs:${stranger.publicKey}`
      })
    )

  it.live("survives a server whose key is of small order", () =>
    Effect.gen(function* () {
      const { reachesTheNext, fails } = yield* setup
      for (const challenge of smallOrderHellos) {
        yield* fails(yield* hostile(challenge), "PeerMisbehaved")
        yield* reachesTheNext
      }
    })
  )
})
