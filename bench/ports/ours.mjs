/** effect-multiserver over message ports, bare or with noise. */
import { isMainThread, parentPort, workerData } from "node:worker_threads"
import { effect, own } from "../ours.mjs"
import { exchange, repeat } from "../program.mjs"

const [Cause, Effect, Layer, ManagedRuntime, Scope] = await Promise.all(
  ["Cause", "Effect", "Layer", "ManagedRuntime", "Scope"].map(effect)
)
const [Address, Identity, MessagePorts, Multiserver, Noise, Sodium] = await Promise.all(
  ["Address", "Identity", "port/MessagePorts", "Multiserver", "noise/Noise", "crypto/Sodium"].map(own)
)

const multiserver = (port, stack) =>
  ManagedRuntime.make(
    Multiserver.layer([stack]).pipe(
      Layer.provide([MessagePorts.layer({ ports: { sink: port, echo: port } }), Noise.layer()]),
      Layer.provide(Identity.layerEphemeral),
      Layer.provide(Sodium.layer)
    )
  )

const untilEnd = (connection, use) =>
  connection.pull.pipe(
    Effect.flatMap(use),
    Effect.forever({ disableYield: true }),
    Effect.catchIf(Cause.isDone, () => connection.end)
  )

const handlers = {
  sink: (connection) => untilEnd(connection, () => Effect.void),
  echo: (connection) => untilEnd(connection, connection.writeAll)
}

/** Until the peer has all: who has read to the end says its own. */
const sendAll = (address, chunk, count) =>
  Effect.gen(function* () {
    const connection = yield* Multiserver.dial(address)
    yield* repeat(count, () => connection.write(chunk))
    yield* connection.end
    yield* untilEnd(connection, () => Effect.void)
  }).pipe(Effect.scoped)

export const dial = async (worker, { stack }) => {
  const { runPromise } = multiserver(worker, stack)
  const addresses = await new Promise((resolve) => worker.on("message", (said) => Array.isArray(said) && resolve(said)))
  const [sink, echo] = addresses
  const scope = await runPromise(Scope.make())
  const connection = await runPromise(Scope.provide(Multiserver.dial(echo), scope))
  return {
    send: (size, count) => runPromise(sendAll(sink, new Uint8Array(size), count)),
    ping: (chunk) => runPromise(exchange(connection, chunk))
  }
}

if (!isMainThread) {
  const { stack } = workerData
  const [transport, ...transforms] = stack.split("~")
  const serve = (name) =>
    Effect.gen(function* () {
      const listener = yield* Multiserver.listen([`${transport}:${name}`, ...transforms].join("~"))
      yield* Effect.forkScoped(listener.run(handlers[name]))
      return Address.format(listener.addresses()[0])
    })
  multiserver(parentPort, stack).runFork(
    Effect.gen(function* () {
      const addresses = yield* Effect.all([serve("sink"), serve("echo")])
      parentPort.postMessage(addresses)
      return yield* Effect.never
    }).pipe(Effect.scoped)
  )
}
