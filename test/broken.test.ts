/** What `Compliance` says of transforms that break the contract. */
import { assert, describe, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Address from "../src/Address.ts"
import * as Link from "../src/Link.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Memory from "../src/memory/Memory.ts"
import type { Port } from "../src/Port.ts"
import * as Transform from "../src/Transform.ts"
import * as Compliance from "../src/testing/Compliance.ts"

/** A transform that changes one thing of the port below. */
const faulty = (fault: (port: Port) => Partial<Port>) => {
  const wrap = (link: Link.Link) =>
    Effect.sync(() => {
      const { port } = link
      return Link.over(
        link,
        new Proxy(port, { get: (_, name) => Reflect.get({ below: port, ...fault(port) }, name) ?? bound(port, name) }),
        {}
      )
    })
  return Multiserver.layer(["memory~faulty"]).pipe(
    Layer.provide([
      Memory.layer(),
      Transform.layer("faulty", {
        section: Address.section("faulty", Schema.String),
        authenticates: false,
        outbound: wrap,
        inbound: wrap
      })
    ])
  )
}

const bound = (port: Port, name: string | symbol): unknown => {
  const value: unknown = Reflect.get(port, name)
  return typeof value === "function" ? value.bind(port) : value
}

const said = (fault: (port: Port) => Partial<Port>, name: string, patience: Duration.Input = "1 second") =>
  Effect.gen(function* () {
    const [check] = Compliance.suite({
      target: "memory:broken~faulty",
      layer: faulty(fault),
      authenticates: false,
      halfClose: true,
      patience
    }).filter((each) => each.name === name)
    const error = yield* Effect.flip(check?.run ?? assert.fail("no such check"))
    return error instanceof Compliance.Broken ? error.message : assert.fail(String(error))
  })

describe("a check of a contract that is broken", () => {
  it.live("says how much has come of what never comes to its end", () =>
    Effect.gen(function* () {
      const message = yield* said(() => ({ end: () => {} }), "carries one write of 4096 bytes to the listener")
      assert.strictEqual(message, "expected 4096 bytes and a clean end, but got 4096 bytes and no end within 1s")
    })
  )

  it.live("says that nothing has come", () =>
    Effect.gen(function* () {
      const message = yield* said(() => ({ offer: () => true }), "carries one write of 1 bytes to the dialer")
      assert.strictEqual(message, "expected 1 bytes, but got 0 bytes that differ from position 0 on")
    })
  )

  it.live("says that a port is never full", () =>
    Effect.gen(function* () {
      let offered = 0
      const fault = (port: Port) => ({
        full: false,
        offer: (bytes: Uint8Array) => {
          offered += bytes.length
          return offered > 1 << 20 || port.offer(bytes)
        }
      })
      const message = yield* said(fault, "makes the writer of a peer that never reads wait", "1 minute")
      assert.match(message, /^expected at most 67108864 bytes to be accepted, but got \d+ and no end$/)
    })
  )

  it.live("says where bytes are others", () =>
    Effect.gen(function* () {
      const fault = (port: Port) => ({
        offer: (bytes: Uint8Array) => port.offer(bytes.map((byte, i) => (i === 7 ? byte ^ 1 : byte)))
      })
      const message = yield* said(fault, "carries one write of 4095 bytes to the listener")
      assert.strictEqual(message, "expected 4095 bytes, but got 4095 bytes that differ from position 7 on")
    })
  )

  it.live("says that bytes came after the right ones", () =>
    Effect.gen(function* () {
      const fault = (port: Port) => ({
        offer: (bytes: Uint8Array) => port.offer(Uint8Array.of(...bytes, 1))
      })
      const message = yield* said(fault, "carries one write of 4095 bytes to the listener")
      assert.strictEqual(message, "expected 4095 bytes, but got 4096 bytes that differ from position 4095 on")
    })
  )
})
