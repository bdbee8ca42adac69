/** The spans of dials and of what is accepted, where there is a tracer. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { format } from "../src/Address.ts"
import * as Multiserver from "../src/Multiserver.ts"
import { multiserver, pattern, readAll, until } from "./support/servers.ts"

/** A tracer that keeps what has ended. */
const tracing = (ended: Array<Tracer.Span>) =>
  Layer.succeed(
    Tracer.Tracer,
    Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        const { end } = span
        span.end = (time, exit) => {
          end.call(span, time, exit)
          ended.push(span)
        }
        return span
      }
    })
  )

const parentOf = ({ parent }: Tracer.Span): string | undefined =>
  Option.match(parent, {
    onNone: () => undefined,
    onSome: (above) => (above._tag === "Span" ? above.name : "external")
  })

describe("spans", () => {
  it.live("are of a dial, its attempts and their handshakes, and of each connection that was accepted", () =>
    Effect.gen(function* () {
      const ended: Array<Tracer.Span> = []
      yield* Effect.gen(function* () {
        const listener = yield* Multiserver.listen("memory:traced~shs")
        yield* Effect.forkScoped(
          listener.run((connection) => Effect.withSpan(Effect.andThen(readAll(connection), connection.end), "handler"))
        )
        const [address] = listener.addresses()
        const text = format(address as NonNullable<typeof address>)
        yield* Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* Multiserver.dial([
              "memory:nobody~shs".replace("~shs", text.slice(text.indexOf("~"))),
              text
            ])
            yield* Effect.andThen(connection.write(pattern(100)), connection.end)
            yield* readAll(connection)
          })
        )
        yield* until(() => ended.some(({ name }) => name === "Multiserver.serve"))
        const names = ended.map((span) => [span.name, parentOf(span)] as const)
        assert.sameDeepMembers(names, [
          ["Multiserver.listen", undefined],
          ["Multiserver.attempt", "Multiserver.dial"],
          ["Multiserver.attempt", "Multiserver.dial"],
          ["Multiserver.handshake", "Multiserver.attempt"],
          ["Multiserver.dial", undefined],
          ["Multiserver.handshake", "Multiserver.serve"],
          ["handler", "Multiserver.serve"],
          ["Multiserver.serve", undefined]
        ])
        const attempts = ended.filter(({ name }) => name === "Multiserver.attempt")
        assert.deepStrictEqual(
          attempts.map(({ attributes, status }) => [
            attributes.get("multiserver.stack"),
            status._tag === "Ended" && status.exit._tag
          ]),
          [
            ["memory~shs", "Failure"],
            ["memory~shs", "Success"]
          ]
        )
        assert.strictEqual(attempts[1]?.attributes.get("multiserver.address"), text)
      }).pipe(Effect.scoped, Effect.provide(multiserver()), Effect.provide(tracing(ended)))
    })
  )

  it.live("are not made where there is no tracer", () =>
    Effect.gen(function* () {
      const listener = yield* Multiserver.listen("memory:untraced~shs")
      const inHandler: Array<boolean> = []
      yield* Effect.forkScoped(
        listener.run((connection) =>
          Effect.andThen(
            Effect.map(Effect.option(Effect.currentSpan), (span) => void inHandler.push(Option.isSome(span))),
            connection.end
          )
        )
      )
      const connection = yield* Multiserver.dial(listener.addresses())
      yield* readAll(connection)
      assert.deepStrictEqual(inHandler, [false])
    }).pipe(Effect.scoped, Effect.provide(multiserver()))
  )
})
