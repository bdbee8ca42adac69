/**
 * The desktop of the chat: it listens on TCP only, answers what it is told, and sends each file back while it arrives.
 * `node examples/chat/peer.ts --help` says how to start it by itself.
 */
import { createHash, type Hash } from "node:crypto"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Layer, Option, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { type Connection, Events, Identity, Multiserver, Net, Policy, Shs, Sodium } from "effect-multiserver/node"
import { type Arriving, arrive, messages, send } from "./protocol.ts"

/** Talks with one page until it says goodbye. */
export const talk = (page: Connection.Connection) =>
  Effect.gen(function* () {
    let arriving: Arriving | undefined
    let hash: Hash = createHash("sha256")
    yield* send(page, { _tag: "Text", text: "Hello from the desktop. I answer, and send your files back." })
    yield* Stream.runForEach(messages(page), (message) =>
      Effect.gen(function* () {
        if (message._tag === "Text")
          return yield* send(page, { _tag: "Text", text: `You said: ${message.text}`.slice(0, 4000) })
        // This side sends a file only while it gets one, and has nothing to compare.
        if (message._tag === "Received") return
        arriving = yield* Effect.fromResult(arrive(arriving, message))
        if (message._tag === "File") hash = createHash("sha256")
        else hash.update(message.bytes)
        yield* send(page, message)
        if (arriving.here === arriving.size) yield* send(page, { _tag: "Received", sha256: hash.digest("hex") })
      })
    )
  })

export interface Options {
  readonly port: number
  /** The file of its key, which is made when there is none. `undefined`: a new key each time. */
  readonly keyFile: string | undefined
  /** The keys that may come in. None: all may. */
  readonly allow: ReadonlyArray<string>
}

/** The peer, which listens as long as the scope. Gives its address. */
export const listen = ({ allow, keyFile, port }: Options) =>
  Effect.gen(function* () {
    const { authorize } = yield* Policy.makeKeys(allow)
    const identity = keyFile === undefined ? Identity.layerEphemeral : Identity.layerFileOrCreate(keyFile)
    const context = yield* Multiserver.layer(["net~shs"]).pipe(
      Layer.provide([Net.layer(), Shs.layer(allow.length === 0 ? {} : { authorize })]),
      Layer.provide(identity),
      Layer.provide([Sodium.layer, Events.layerLog]),
      Layer.build
    )
    const listener = yield* Effect.provideContext(Multiserver.listen(`net:127.0.0.1:${port}~shs`), context)
    yield* Effect.forkScoped(listener.run(talk))
    return listener.addresses().join(";")
  })

const command = Command.make(
  "peer",
  {
    port: Flag.Int("port").pipe(Flag.withDescription("0 takes a free one"), Flag.withDefault(8008)),
    keyFile: Flag.File("key-file").pipe(Flag.withDescription("made if missing; without it, a new key"), Flag.optional),
    allow: Flag.String("allow").pipe(Flag.withDescription("a key that may come in; several times"), Flag.atLeast(0))
  },
  ({ allow, keyFile, port }) =>
    listen({ allow, keyFile: Option.getOrUndefined(keyFile), port }).pipe(
      Effect.flatMap((address) => Console.log(address)),
      Effect.andThen(Effect.never),
      Effect.scoped
    )
)

if (import.meta.main) NodeRuntime.runMain(Effect.provide(Command.run(command, { version: "0" }), NodeServices.layer))
