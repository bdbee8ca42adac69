/**
 * `memory:NAME`: listeners within the process, for tests of protocols and for parts of one program. Each layer is a space of
 * names of its own. Nothing is shared: what is offered is copied, as a kernel would.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import * as Connection from "../Connection.ts"
import { Refused } from "../DialError.ts"
import { AddressInUse } from "../ListenError.ts"
import * as Transport from "../Transport.ts"
import { memoryPair } from "./memoryPort.ts"

type Listeners = Map<string, Transport.OnAccepted>

const at = (name: string) => new Address.Address({ transport: new Address.Memory({ name }), transforms: [] })

/** Destroyed with the scope whatever happens, as a socket is. */
const take = (
  port: Connection.Port,
  remote: Address.Address
): Effect.Effect<Connection.Connection, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.succeed(port), () => Effect.sync(() => port.destroy())).pipe(
    Effect.flatMap(() => Connection.make(port, { remote, peer: new Connection.Anonymous() }))
  )

const make = (listeners: Listeners): Transport.Shape =>
  Transport.make({
    section: Schema.toType(Address.Memory),
    reach: () => "device",
    trusted: true,
    cost: 0,
    dial: ({ name }) =>
      Effect.suspend(() => {
        const onAccepted = listeners.get(name)
        if (onAccepted === undefined) return Effect.fail(new Refused())
        const [near, far] = memoryPair()
        return onAccepted(take(far, at(`${name}-dialer`)), undefined)
          ? take(near, at(name))
          : Effect.fail(new Refused())
      }),
    listen: ({ name }, onAccepted) =>
      Effect.acquireRelease(
        Effect.suspend(() => {
          if (listeners.has(name)) return Effect.fail(new AddressInUse())
          listeners.set(name, onAccepted)
          return Effect.succeed({ section: new Address.Memory({ name }) })
        }),
        () => Effect.sync(() => listeners.delete(name))
      )
  })

/** A new space of names. */
export const layer: Layer.Layer<Transport.Transport<"memory">> = Layer.sync(Transport.Transport("memory"), () =>
  make(new Map())
)
