/** Procedures of all kinds, and programs that serve and call them with keys of their own. */
import { createHash } from "node:crypto"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as MultiserverSocketServer from "../../src/bridge/MultiserverSocketServer.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Identity from "../../src/Identity.ts"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Memory from "../../src/memory/Memory.ts"
import * as Net from "../../src/net/Net.ts"
import * as Noise from "../../src/noise/Noise.ts"
import * as MultiserverRpc from "../../src/rpc/MultiserverRpc.ts"
import * as Shs from "../../src/shs/Shs.ts"
import * as Unix from "../../src/unix/Unix.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { limits, pattern } from "../support/servers.ts"

export const Procedures = RpcGroup.make(
  Rpc.make("WhoAmI", { success: Schema.String }),
  /** Chunks of 256 KiB. */
  Rpc.make("Bytes", { payload: { chunks: Schema.Int }, success: Schema.Uint8Array, stream: true }),
  /** Hashes what `Put` brings to it. */
  Rpc.make("Upload", { payload: { id: Schema.Int }, success: Schema.String }),
  /** No bytes: the end. */
  Rpc.make("Put", { payload: { id: Schema.Int, bytes: Schema.Uint8Array } }),
  Rpc.make("Hang")
).middleware(MultiserverRpc.RequireKey)

export const chunk = pattern(256 * 1024)

export const hashOf = (chunks: number): string => {
  const hash = createHash("sha256")
  for (let i = 0; i < chunks; i++) hash.update(chunk)
  return hash.digest("hex")
}

/** What the handlers have done. */
export interface Seen {
  sent: number
  readonly hanging: Queue.Queue<"began" | "interrupted">
}

/** Handlers, and what they have done. */
export const handlers = Effect.gen(function* () {
  const seen: Seen = { sent: 0, hanging: yield* Queue.unbounded<"began" | "interrupted">() }
  const uploads = new Map<string, Queue.Queue<Uint8Array>>()
  const layer = Procedures.toLayer({
    WhoAmI: () => Effect.map(MultiserverRpc.RemotePeer, ({ publicKey }) => Identity.formatPublicKey(publicKey)),
    Bytes: ({ chunks }) =>
      Stream.range(1, chunks).pipe(
        Stream.rechunk(1),
        Stream.map(() => {
          seen.sent++
          return chunk
        })
      ),
    Upload: Effect.fnUntraced(function* ({ id }, { client }) {
      const name = `${client.id}/${id}`
      const queue = yield* Effect.acquireRelease(Queue.bounded<Uint8Array>(1), (queue) => {
        uploads.delete(name)
        return Queue.shutdown(queue)
      })
      uploads.set(name, queue)
      const hash = createHash("sha256")
      for (let bytes = yield* Queue.take(queue); bytes.length > 0; bytes = yield* Queue.take(queue)) hash.update(bytes)
      return hash.digest("hex")
    }, Effect.scoped),
    Put: ({ bytes, id }, { client }) => {
      const queue = uploads.get(`${client.id}/${id}`)
      return queue === undefined ? Effect.die(new Error("no such upload")) : Effect.asVoid(Queue.offer(queue, bytes))
    },
    Hang: () =>
      Queue.offer(seen.hanging, "began").pipe(
        Effect.andThen(Effect.never),
        Effect.onInterrupt(() => Queue.offer(seen.hanging, "interrupted"))
      )
  })
  return { layer, seen }
})

/** The transports, which programs of one test share. */
export const transports = Layer.mergeAll(Net.layer(), WebSocket.layer(), Unix.layer(), Memory.layer())

/** A program with an identity of its own. */
export const somebody = (options: Shs.Options = {}, own: Partial<Limits.LimitValues> = {}) =>
  Effect.gen(function* () {
    const stacks = ["net~shs", "ws~noise", "unix~shs", "memory~shs", "memory"] as const
    const context = yield* Layer.build(
      Layer.fresh(
        Multiserver.layer(stacks).pipe(
          Layer.provide([Shs.layer(options), Noise.layer(options)]),
          Layer.provideMerge(Identity.layerEphemeral),
          Layer.provide([Sodium.layer, Layer.succeed(Limits.Limits, { ...limits, ...own })])
        )
      )
    )
    const { publicKey } = yield* Effect.provideContext(Identity.Identity, context)
    return { layer: Layer.succeedContext(context), key: Identity.formatPublicKey(publicKey) }
  })

export type Somebody = Effect.Success<ReturnType<typeof somebody>>

/** Serves the procedures as long as the scope, and gives the addresses. */
export const serve = (
  program: Somebody,
  target: Multiserver.Target,
  own: Layer.Layer<Rpc.ToHandler<RpcGroup.Rpcs<typeof Procedures>>>,
  options?: MultiserverRpc.ServerOptions
) =>
  MultiserverRpc.layerServer(Procedures, target, options).pipe(
    Layer.provide(own),
    Layer.provide(program.layer),
    Layer.build,
    Effect.map((context) => Context.get(context, MultiserverSocketServer.Listening).addresses())
  )

/** A client of the procedures, as long as the scope. */
export const client = (program: Somebody, target: Multiserver.Target, options?: MultiserverRpc.ClientOptions) =>
  MultiserverRpc.layerProtocolClient(target, options).pipe(
    Layer.provide(program.layer),
    Layer.build,
    Effect.flatMap((protocol) => Effect.provide(RpcClient.make(Procedures), protocol))
  )
