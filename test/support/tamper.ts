/**
 * A transport for tests, `tamper:NAME`: memory with somebody in the middle, who changes or cuts what passes. Written as
 * a third party would write one.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Address from "../../src/Address.ts"
import { Refused } from "../../src/DialError.ts"
import * as Link from "../../src/Link.ts"
import { memoryPair } from "../../src/memory/memoryPort.ts"
import { Anonymous } from "../../src/Peer.ts"
import type { Port } from "../../src/Port.ts"
import * as Transport from "../../src/Transport.ts"

/** What the one in the middle does: `at` counts the bytes of one direction. */
export interface Attack {
  readonly toServer?: { readonly at: number; readonly what: "flip" | "end" | "reset" }
  readonly toClient?: { readonly at: number; readonly what: "flip" | "end" | "reset" }
}

const at = (name: string) => new Address.Address({ transport: new Address.Memory({ name }), transforms: [] })

/** Passes bytes from one port to the other, attacking at the given byte. */
const relay = (from: Port, to: Port, attack: Attack["toServer"]) => {
  let passed = 0
  let cut = false
  const pass = () => {
    for (let chunks = from.take(); chunks !== undefined && !cut; chunks = from.take()) {
      for (const chunk of chunks) {
        const place = attack === undefined ? -1 : attack.at - passed
        passed += chunk.length
        if (attack === undefined || place < 0 || place >= chunk.length) {
          to.offer(chunk)
        } else if (attack.what === "flip") {
          chunk[place] = (chunk[place] as number) ^ (1 << (attack.at & 7))
          to.offer(chunk)
        } else {
          if (place > 0) to.offer(chunk.subarray(0, place))
          cut = true
          if (attack.what === "end") {
            to.end()
          } else {
            to.destroy()
            from.destroy()
          }
          return
        }
      }
    }
    if (attack !== undefined && attack.what === "end" && attack.at === passed && !cut) {
      cut = true
      to.end()
    }
    if (cut) return
    if (from.ended) to.end()
    else if (from.failure !== undefined) to.destroy()
  }
  return { readable: pass, drained: () => {} }
}

/** The transport, with what is to be done to each connection. */
export const layer = (attacks: { current: Attack }) => {
  const listeners = new Map<string, Transport.OnAccepted>()
  const take = (port: Port, name: string) =>
    Effect.suspend(() => Link.make(port, { remote: at(name), peer: new Anonymous() }))
  return Transport.layer("tamper", {
    section: Address.section("tamper", Schema.NonEmptyString),
    reach: () => "device",
    dial: (name) =>
      Effect.suspend(() => {
        const onAccepted = listeners.get(name)
        if (onAccepted === undefined) return Effect.fail(new Refused())
        const [client, nearMiddle] = memoryPair()
        const [farMiddle, server] = memoryPair()
        nearMiddle.listen(relay(nearMiddle, farMiddle, attacks.current.toServer))
        farMiddle.listen(relay(farMiddle, nearMiddle, attacks.current.toClient))
        return onAccepted(take(server, "dialer"), undefined) ? take(client, name) : Effect.fail(new Refused())
      }),
    listen: (name, onAccepted) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          listeners.set(name, onAccepted)
          return { section: new Address.Opaque({ name: "tamper", data: `:${name}` }) }
        }),
        () => Effect.sync(() => listeners.delete(name))
      )
  })
}
