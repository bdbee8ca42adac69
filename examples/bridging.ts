/**
 * The second example of npm multiserver's README, line for line: one server for TCP and WebSockets, and a dial by
 * whichever protocol the address says.
 */
import { Effect, Layer } from "effect"
import { type Connection, Multiserver, Net, WebSocket } from "effect-multiserver/node"

// var ms = MultiServer([net({port: 1234}), ws({port: 2345})])
export const Live = Multiserver.layer(["net", "ws"]).pipe(Layer.provide([Net.layer(), WebSocket.layer()]))

// var close = ms.server(function (stream) { ... })          The scope closes it.
export const server = <E, R>(onConnection: (connection: Connection.Connection) => Effect.Effect<unknown, E, R>) =>
  Effect.gen(function* () {
    const listener = yield* Multiserver.listen(["net:127.0.0.1:0", "ws://127.0.0.1:0"])
    yield* Effect.forkScoped(listener.run(onConnection))
    return listener.addresses()
  })

// var abort = ms.client('ws://localhost:1234', function (err, stream) { ... })          Interruption aborts it.
export const client = (address: string) => Multiserver.dial(address)
