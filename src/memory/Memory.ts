/**
 * `memory:NAME`: connections within the process, for tests of protocols and between parts of one program. Each layer
 * has names of its own. The two ends share no memory: bytes are copied, as a kernel would copy them.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import { Refused } from "../DialError.ts"
import * as Link from "../Link.ts"
import { AddressInUse } from "../ListenError.ts"
import { anonymous } from "../Peer.ts"
import type { Port } from "../Port.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"
import * as Transport from "../Transport.ts"
import { memoryPair, Turns } from "./memoryPort.ts"

type Listeners = Map<string, Transport.OnAccepted>

/** The address of an end. The name is a section's, so it is valid. */
const at = (name: string) => {
  const transport = makeUnchecked(Address.Memory, { _tag: "memory", name })
  return makeUnchecked(Address.Address, { transport, transforms: [] })
}

const take = (port: Port, name: string): Effect.Effect<Link.Link, never, Scope.Scope> =>
  Effect.uninterruptible(Effect.suspend(() => Link.make(port, { remote: at(name), peer: anonymous })))

const make = (listeners: Listeners, turns: Turns): Transport.Shape =>
  Transport.make({
    section: Schema.toType(Address.Memory),
    reach: () => "device",
    trusted: true,
    cost: 0,
    dial: ({ name }) =>
      // Uninterruptible: between the pair and its links, an interruption would leave an end that nothing closes.
      Effect.uninterruptible(
        Effect.suspend(() => {
          const onAccepted = listeners.get(name)
          if (onAccepted === undefined) return Effect.fail(new Refused())
          const [near, far] = memoryPair(turns)
          return onAccepted(take(far, `${name}-dialer`), undefined) ? take(near, name) : Effect.fail(new Refused())
        })
      ),
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

/**
 * The `memory` transport, with names of its own. Multiservers that are to dial each other have to share one such layer:
 * call this once, and keep what it returns.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (): Layer.Layer<Transport.Transport<"memory">> =>
  Layer.sync(Transport.Transport("memory"), () => make(new Map(), new Turns()))
