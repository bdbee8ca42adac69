/**
 * Starts the chat on this device: a peer on TCP, and a port with the page and the bridge to it. Prints the link to the
 * page. `npm run example:chat -- --help` lists the options; ctrl-c ends it.
 */
import { fileURLToPath } from "node:url"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Cause, Console, Effect, Exit, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { Address } from "effect-multiserver/node"
import * as Bridge from "./bridge.ts"
import * as Peer from "./peer.ts"

/** Where `vite build` writes the page. */
const folder = fileURLToPath(new URL("dist", import.meta.url))

const command = Command.make(
  "chat",
  {
    port: Flag.Int("port").pipe(
      Flag.withDescription("of the page and the bridge; 0 takes a free one"),
      Flag.withDefault(8080)
    ),
    peerPort: Flag.Int("peer-port").pipe(
      Flag.withDescription("of the peer; 0 takes a free one"),
      Flag.withDefault(8008)
    ),
    keyFile: Flag.File("key-file").pipe(
      Flag.withDescription("of the peer's key, made if missing; without it, a new key and so a new link each time"),
      Flag.optional
    ),
    peer: Flag.String("peer").pipe(
      Flag.withDescription("the address of a peer that runs already (peer.ts), instead of starting one"),
      Flag.optional
    )
  },
  ({ keyFile, peer, peerPort, port }) =>
    Effect.gen(function* () {
      const text = Option.isSome(peer)
        ? peer.value
        : yield* Peer.listen({ port: peerPort, keyFile: Option.getOrUndefined(keyFile), allow: [] })
      const [{ transforms, transport }] = yield* Effect.fromResult(Address.parse(text))
      const own = yield* Bridge.listen({ port, folder, to: String(new Address.Address({ transport, transforms: [] })) })
      // The page dials the bridge, and proves its key to the peer behind it.
      const bridge = new Address.Ws({ host: "127.0.0.1", port: own, path: "/peer" })
      const link = `http://127.0.0.1:${own}/#${new Address.Address({ transport: bridge, transforms })}`
      yield* Console.log(`peer: ${text}\nlink: ${link}\nOpen the link in a browser. Ctrl-c ends the chat.`)
      return yield* Effect.never
    }).pipe(
      Effect.scoped,
      // Mostly a port that another program has, as another chat does.
      Effect.tapErrorTag(["ListenError", "ServeError"], () =>
        Console.error("The chat can't listen: --port and --peer-port choose other ports.")
      )
    )
)

Command.run(command, { version: "0" }).pipe(
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({
    // Ctrl-c is how it is meant to end.
    teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
  })
)
