/** A server with workers, for the tests: says what happens in JSON lines, on stdout. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Address from "../../src/Address.ts"
import * as Events from "../../src/Events.ts"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as NodeIdentity from "../../src/NodeIdentity.ts"
import * as NodeMultiserver from "../../src/NodeMultiserver.ts"
import * as Workers from "../../src/Workers.ts"

const {
  address = "",
  goesOn = false,
  hasSinks = true,
  ownKeys = false,
  sharing,
  workers = 2
} = JSON.parse(process.argv[2] ?? "{}")

const encode = Schema.encodeSync(Schema.fromJsonString(Schema.toCodecJson(Events.Event)))
const say = (line: string) => Effect.sync(() => void process.stdout.write(`${line}\n`))

/** Sends the number of the process, and then back what it gets. */
const Server = Multiserver.layerServer(address, (peer) =>
  peer
    .writeAll([new TextEncoder().encode(`${process.pid}\n`)])
    .pipe(Effect.andThen(Effect.forever(Effect.flatMap(peer.pull, peer.writeAll))))
).pipe(
  Layer.provide(ownKeys ? Layer.provide(NodeMultiserver.layer(), NodeIdentity.layerEphemeral) : NodeMultiserver.layer())
)

const main = Workers.launch(Server, {
  workers,
  ...(sharing && { sharing }),
  onListening: (listeners) =>
    Effect.andThen(
      say(JSON.stringify({ _tag: "Listening", addresses: listeners.map(({ device }) => device.map(Address.format)) })),
      goesOn ? Effect.never : Effect.void
    )
}).pipe(
  Effect.provide(hasSinks ? Events.layer((event) => say(encode(event))) : Layer.empty),
  Effect.provide([NodeIdentity.layerEphemeral, Limits.layer({})])
)

NodeRuntime.runMain(main)
