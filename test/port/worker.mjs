// A worker that serves over the port to its parent, or that dials over it once: as its data says.
import { parentPort, workerData } from "node:worker_threads"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Identity, MessagePorts, Multiserver, Noise, Shs, Sodium } from "effect-multiserver/node"

const names = ["plain", "noise", "shs", "hold", "flood", "back"]

const layer = Multiserver.layer(["port", "port~noise", "port~shs"]).pipe(
  Layer.provide([
    MessagePorts.layer({ ports: Object.fromEntries(names.map((name) => [name, parentPort])) }),
    Noise.layer(),
    Shs.layer()
  ]),
  Layer.provide(Identity.layerEphemeral),
  Layer.provide(Sodium.layer)
)

const echo = ({ end, pull, writeAll }) =>
  pull.pipe(
    Effect.flatMap(writeAll),
    Effect.forever({ disableYield: true }),
    Effect.catchIf(Cause.isDone, () => end)
  )

/** Writes for ever, and tells the application at the other end how much was accepted. */
const flood = ({ write }) => {
  const chunk = new Uint8Array(64 * 1024)
  let written = 0
  return Effect.forever(
    Effect.map(write(chunk), () => {
      written += chunk.length
      parentPort.postMessage({ written })
    })
  )
}

const hold = () => Effect.never

const serve = Effect.gen(function* () {
  const listen = (target, handler) =>
    Effect.gen(function* () {
      const listener = yield* Multiserver.listen(target)
      yield* Effect.forkScoped(listener.run(handler))
      return String(listener.addresses()[0])
    })
  const addresses = [
    yield* listen("port:plain", echo),
    yield* listen("port:noise~noise", echo),
    yield* listen("port:shs~shs", echo),
    yield* listen("port:hold", hold),
    yield* listen("port:flood", flood)
  ]
  parentPort.on("message", (message) => {
    if (message === "ping") parentPort.postMessage({ pong: true })
  })
  parentPort.postMessage({ addresses })
  yield* Effect.never
})

/** Says ten bytes and the end, and hears the same. */
const once = Effect.gen(function* () {
  const { end, pull, write } = yield* Multiserver.dial("port:back")
  yield* Effect.andThen(write(new Uint8Array(10)), end)
  let read = 0
  yield* pull.pipe(
    Effect.map((chunks) => {
      for (const chunk of chunks) read += chunk.length
    }),
    Effect.forever,
    Effect.catchIf(Cause.isDone, () => Effect.void)
  )
  parentPort.postMessage({ read })
})

await Effect.runPromise(Effect.scoped(workerData === "once" ? once : serve).pipe(Effect.provide(layer)))
