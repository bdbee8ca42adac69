/** effect-multiserver, as an Effect program uses it. */
import { effect, has, own } from "../ours.mjs"
import { exchange, repeat } from "../program.mjs"

const [Cause, Effect, Layer, ManagedRuntime, Scope] = await Promise.all(
  ["Cause", "Effect", "Layer", "ManagedRuntime", "Scope"].map(effect)
)
const [Address, Connection, Identity, Multiserver, Net, Shs, Sodium, WebSocket] = await Promise.all(
  ["Address", "Connection", "Identity", "Multiserver", "net/Net", "shs/Shs", "crypto/Sodium", "ws/WebSocket"].map(own)
)

const places = { net: "net:127.0.0.1:0", ws: "ws://127.0.0.1:0" }

/** A layer that takes options, or none yet in an older build. */
const given = (layer) => (typeof layer === "function" ? layer() : layer)

const noise = async () => {
  if (!has("noise/Noise")) throw new Error("this build has no noise")
  return given((await own("noise/Noise")).layer)
}

const noisepq = async () => {
  if (!has("noisepq/NoisePq")) throw new Error("this build has no noisepq")
  return given((await own("noisepq/NoisePq")).layer).pipe(Layer.provide((await own("crypto/NodeKem")).layer))
}

const multiserver = async (stack) => {
  const protocols = [Net, WebSocket, Shs].map(({ layer }) => given(layer))
  if (stack.endsWith("~noise")) protocols.push(await noise())
  if (stack.endsWith("~noisepq")) protocols.push(await noisepq())
  return Multiserver.layer([stack]).pipe(
    Layer.provide(Layer.mergeAll(...protocols)),
    Layer.provide(Identity.layerEphemeral),
    Layer.provide(Sodium.layer)
  )
}

/** Counts what arrives until the peer's goodbye. */
const owned = (connection, onBytes) =>
  connection.pull.pipe(
    Effect.map((batch) => {
      for (const chunk of batch) onBytes(chunk.length)
    }),
    Effect.forever({ disableYield: true }),
    Effect.catchIf(Cause.isDone, () => Effect.void)
  )

const borrowed = (connection, onBytes) =>
  Connection.forEachChunk(connection, (chunk) => {
    onBytes(chunk.length)
  })

const echo = (connection) =>
  connection.pull.pipe(
    Effect.flatMap(connection.writeAll),
    Effect.forever({ disableYield: true }),
    Effect.catchIf(Cause.isDone, () => connection.end)
  )

export const make = async ({ borrowed: borrows = false, stack = "net~shs" }) => {
  const runtime = ManagedRuntime.make(await multiserver(stack))
  const { runFork, runPromise } = runtime
  const [transport, transform] = stack.split("~")
  const sink = borrows ? borrowed : owned
  const handler = (mode, onBytes) => (connection) =>
    mode === "echo" ? echo(connection) : Effect.suspend(() => sink(connection, onBytes))

  const open = Effect.fnUntraced(function* (target) {
    const scope = yield* Scope.make()
    const connection = yield* Scope.provide(Multiserver.dial(target), scope)
    if (borrows && Connection.forEachChunk === undefined) throw new Error("this build has no borrowed reads")
    return {
      connection,
      pump: (chunk, count) => runPromise(repeat(count, () => connection.write(chunk))),
      read: (onBytes) => void runFork(Effect.ignore(Effect.suspend(() => sink(connection, onBytes)))),
      send: (chunk) => void runFork(connection.write(chunk)),
      close: () => runPromise(Effect.flatMap(Effect.exit(Effect.void), (exit) => Scope.close(scope, exit)))
    }
  })

  return {
    listen: (mode, onBytes) =>
      runPromise(
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const listener = yield* Scope.provide(Multiserver.listen(`${places[transport]}~${transform}`), scope)
          yield* Effect.forkIn(listener.run(handler(mode, onBytes)), scope)
          return Address.format(listener.addresses()[0])
        })
      ),
    dial: (target) => runPromise(open(target)),
    ping: ({ connection }, chunk, count, lap) => runPromise(repeat(count, () => exchange(connection, chunk), lap)),
    dials: (target, byte, count, concurrency) =>
      runPromise(
        Effect.forEach(
          Array.from({ length: count }),
          () =>
            Multiserver.dial(target).pipe(
              Effect.flatMap((connection) => exchange(connection, byte)),
              Effect.scoped
            ),
          { concurrency, discard: true }
        )
      ),
    fan: (connections, chunk) =>
      runPromise(Effect.forEach(connections, ({ connection }) => connection.write(chunk), { discard: true }))
  }
}
