/**
 * Ours, as built, in a process that may do little: it listens, dials itself, and says what it heard and how many
 * connections it has room for.
 */
import * as Effect from "effect/Effect"
import * as Multiserver from "../../dist/Multiserver.js"
import * as NodeIdentity from "../../dist/NodeIdentity.js"
import * as NodeMultiserver from "../../dist/NodeMultiserver.js"
import { fdRoom } from "../../dist/sockets/fdRoom.js"

const bytes = (chunks) => chunks.reduce((sum, { length }) => sum + length, 0)

const exchanged = (target) =>
  Effect.gen(function* () {
    const listener = yield* Multiserver.listen(target)
    yield* Effect.forkScoped(listener.run((connection) => Effect.flatMap(connection.pull, connection.writeAll)))
    const connection = yield* Multiserver.dial(listener.addresses()[0])
    yield* connection.write(new Uint8Array(10))
    return bytes(yield* connection.pull)
  }).pipe(Effect.scoped)

const program = Effect.all([exchanged("net:127.0.0.1:0~shs"), exchanged("ws://127.0.0.1:0~noise")]).pipe(
  Effect.provide(NodeMultiserver.layer()),
  Effect.provide(NodeIdentity.layerEphemeral)
)
const heard = await Effect.runPromise(program)
process.stdout.write(JSON.stringify({ heard, room: fdRoom() }))
