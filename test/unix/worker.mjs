/** A worker thread that listens at the path that it is given, and says how that went. */
import { parentPort, workerData } from "node:worker_threads"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Multiserver from "../../dist/Multiserver.js"
import * as Unix from "../../dist/unix/Unix.js"

const listen = Effect.flip(Effect.scoped(Multiserver.listen(`unix:${workerData}`)))
const layer = Multiserver.layer(["unix"]).pipe(Layer.provide(Unix.layer()))
parentPort.postMessage(await Effect.runPromise(Effect.map(Effect.provide(listen, layer), (error) => error.message)))
