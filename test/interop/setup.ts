/** The two sides of an interop test: npm multiserver in a process of its own, and ours in this one. */
import { createHash } from "node:crypto"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import { type AddressError, format } from "../../src/Address.ts"
import * as AppKey from "../../src/AppKey.ts"
import type * as Connection from "../../src/Connection.ts"
import type { DialError } from "../../src/DialError.ts"
import * as Events from "../../src/Events.ts"
import * as Identity from "../../src/Identity.ts"
import type * as Listener from "../../src/Listener.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import type * as Shs from "../../src/shs/Shs.ts"
import * as ChildPeer from "../support/childPeer.ts"
import { primitives } from "../support/primitives.ts"
import { expectEvent, multiserver, pattern, readAll, served } from "../support/servers.ts"
import { base64 } from "../support/vectors.ts"

// -----------------------------------------------------------------------------
// theirs
// -----------------------------------------------------------------------------

/** The app key of these tests. */
export const appKeyBytes = pattern(32, 101)
const appKey = base64(appKeyBytes)
/** Another network's. */
export const otherAppKey = base64(pattern(32, 102))

/** Somebody, as npm multiserver takes it: the seed of the key pair, and the public key. */
export const identity = (n: number) => {
  const seed = pattern(32, n)
  const { publicKey } = Identity.fromSeed(primitives, Redacted.make(seed))
  return { seed: base64(seed), publicKey: Identity.formatPublicKey(publicKey) }
}
const { seed } = identity(103)

interface ServeOptions {
  readonly stack?: "net~shs" | "net" | "net~noauth" | "unix~shs" | "unix~noauth"
  /** Where the unix plugin puts its socket. */
  readonly directory?: string
  /** `stream`, the default: echoes as it reads. `whole`: reads to the end first, says `answering`, and echoes. */
  readonly reply?: "whole" | "stream"
  readonly appKey?: string
  /** The public keys that it lets in, base64; by default everyone. */
  readonly allow?: ReadonlyArray<string>
}

interface DialOptions {
  readonly directory?: string
  readonly appKey?: string
  readonly seed?: string
  /** What it writes before it ends. */
  readonly body?: {
    readonly bytes: number
    readonly seed: number /** Ends when all has come back. */
    readonly patient?: boolean
  }
}

const speaking = (peer: ChildPeer.Peer) => ({
  next: peer.next,
  /** Listens, and gives the address. */
  serve: (options: ServeOptions = {}) =>
    peer.tell({ serve: { stack: "net~shs", reply: "stream", seed, appKey, ...options } }).pipe(
      Effect.andThen(peer.next("listening")),
      Effect.map(({ address }) => address)
    ),
  /** Dials, writes the body, ends at once, and reads to the end. */
  dial: (address: string, options: DialOptions = {}) =>
    peer.tell({ dial: { address, seed, appKey, body: { bytes: 10, seed: 1 }, ...options } })
})

const script = new URL("./peers/multiserver.mjs", import.meta.url)

/** npm multiserver, in its own process. */
export const theirs = Effect.map(ChildPeer.start(script), speaking)

/** The same for the tests of a file that calls this, in one process for all. */
export const sharedTheirs = () => Effect.map(ChildPeer.share(script), speaking)

// -----------------------------------------------------------------------------
// ours
// -----------------------------------------------------------------------------

/** Ours, in the same network, with its events in order. */
export const ours = (authorize: NonNullable<Shs.Options["authorize"]> = () => Effect.succeed(true)) =>
  Effect.gen(function* () {
    const events = yield* Queue.unbounded<Events.Event>()
    const emit: Events.Sink = (event) => Effect.asVoid(Queue.offer(events, event))
    const context = yield* Layer.build(
      multiserver({ authorize }).pipe(Layer.provide([AppKey.layer(Redacted.make(appKeyBytes)), Events.layer(emit)]))
    )
    return {
      publicKey: Identity.formatPublicKey(Context.get(context, Identity.Identity).publicKey),
      dial: Context.get(context, Multiserver.Multiserver).dial,
      /** Listens on a port that the system picks, as long as the test, and gives the address. */
      serve: <E, R>(stack: "net~shs" | "net", handler: Listener.Handler<E, R>) =>
        served(`net:127.0.0.1:0${stack.slice("net".length)}`, handler).pipe(
          Effect.provide(context),
          Effect.flatMap(([address]) => Effect.fromNullishOr(address)),
          Effect.map(format)
        ),
      /** The next event, which has to be of this kind. */
      next: <const Tag extends Events.Event["_tag"]>(tag: Tag) => expectEvent(events, tag)
    }
  })

// -----------------------------------------------------------------------------
// bodies
// -----------------------------------------------------------------------------

/** The sizes around which box streams and buffers go wrong. */
export const sizes = [0, 1, 4095, 4096, 4097, 65_535, 8 * 1024 * 1024]

/** In pieces of random sizes, the same for the same bytes. */
const cut = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => {
  const random = new Uint32Array(pattern(4 * 1024, bytes.length + 7).buffer)
  const pieces: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length; ) {
    const [word = 0, most = 0] = [random[pieces.length % 1024], [10, 1000, 100_000][pieces.length % 3]]
    const piece = bytes.subarray(at, at + 1 + (word % most))
    pieces.push(piece)
    at += piece.length
  }
  return pieces
}

/** As the peer counts and hashes it. */
export const total = (bytes: Uint8Array) => ({
  bytes: bytes.length,
  sha256: createHash("sha256").update(bytes).digest("hex")
})

const writeInPieces = (connection: Connection.Connection, body: Uint8Array) =>
  Effect.forEach(cut(body), (piece) => connection.write(piece), { discard: true })

/** Writes the body and ends at once, while it reads to the end. What came back. */
export const exchange = (connection: Connection.Connection, body: Uint8Array) =>
  Effect.all([readAll(connection), Effect.andThen(writeInPieces(connection, body), connection.end)], {
    concurrency: 2
  }).pipe(Effect.map(([received]) => received))

/**
 * Writes the body and ends at once, and reads nothing until the peer answers into a full pipe: if a FIN went out with
 * the end, a 3.8.2 peer would drop what it owes.
 */
export const exchangeInTurn =
  (answering: Effect.Effect<unknown>): typeof exchange =>
  (connection, body) =>
    writeInPieces(connection, body).pipe(
      Effect.andThen(connection.end),
      Effect.andThen(answering),
      Effect.andThen(readAll(connection))
    )

/**
 * A handler that writes nothing before it has read the end, then everything back; the goodbye comes with its return.
 */
export const replyWhole = (connection: Connection.Connection) =>
  Effect.flatMap(readAll(connection), (body) => writeInPieces(connection, body))

/** Why a dial did not get through its handshake: the reason's tag, and what a rejection came after. */
export const refusal = <A, R>(dial: Effect.Effect<A, AddressError | DialError, R>): Effect.Effect<string, A, R> =>
  Effect.flatMap(Effect.flip(dial), (error) => {
    if (error._tag !== "DialError" || error.reason._tag !== "HandshakeError") return Effect.die(error)
    const { reason } = error.reason
    return Effect.succeed(reason._tag === "Rejected" ? `Rejected(${reason.after})` : reason._tag)
  })
