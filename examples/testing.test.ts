import { assert, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Schedule, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type Address, Connection, Identity, Memory, Multiserver, Net, Shs, Sodium } from "effect-multiserver/node"
import { Chaos } from "effect-multiserver/testing"

// The program under test says nothing of transports: it serves and dials what it is given.

const greet = (connection: Connection.Connection) =>
  Effect.gen(function* () {
    const name = yield* Connection.stream(connection).pipe(Stream.decodeText, Stream.mkString)
    yield* connection.write(new TextEncoder().encode(`hello ${name}`))
    yield* connection.end
  })

const ask = (target: Multiserver.Target, name: string) =>
  Effect.gen(function* () {
    const connection = yield* Multiserver.dial(target)
    yield* connection.write(new TextEncoder().encode(name))
    yield* connection.end
    return yield* Connection.stream(connection).pipe(Stream.decodeText, Stream.mkString)
  }).pipe(Effect.scoped)

const serving = (target: Multiserver.Target) =>
  Effect.gen(function* () {
    const listener = yield* Multiserver.listen(target)
    yield* Effect.forkScoped(listener.run(greet))
    return listener.addresses()
  })

// A Multiserver for a test speaks `memory` and what else the test is about. `Layer.fresh` makes another identity each
// time.

const speaks = (options: Shs.Options = {}) =>
  Multiserver.layer(["memory~shs", "net~shs"]).pipe(
    Layer.provide([Net.layer(), Shs.layer(options)]),
    Layer.provideMerge(Layer.fresh(Identity.layerEphemeral)),
    Layer.provide(Sodium.layer)
  )

it.effect("greets over an encrypted connection, without a socket", () =>
  Effect.gen(function* () {
    const addresses = yield* serving("memory:greeter~shs")
    assert.strictEqual(yield* ask(addresses, "Ada"), "hello Ada")
  }).pipe(Effect.provide(speaks().pipe(Layer.provide(Memory.layer()))))
)

// Two identities in one space of names: both are built over the same `Memory.layer`, which the test provides once.

it.effect("lets in who is on the list, and nobody else", () =>
  Effect.gen(function* () {
    const friend = yield* Layer.build(speaks())
    const stranger = yield* Layer.build(speaks())
    const { publicKey } = yield* Effect.provide(Identity.Identity, friend)
    const allowed = Identity.formatPublicKey(publicKey)
    const authorize = (applicant: Shs.Applicant) =>
      Effect.succeed(Identity.formatPublicKey(applicant.publicKey) === allowed)
    const server = yield* Layer.build(speaks({ authorize }))

    const addresses = yield* Effect.provide(serving("memory:greeter~shs"), server)
    assert.strictEqual(yield* Effect.provide(ask(addresses, "Ada"), friend), "hello Ada")
    const error = yield* Effect.flip(Effect.provide(ask(addresses, "Eve"), stranger))
    assert.strictEqual(error._tag, "DialError")
  }).pipe(Effect.provide(Memory.layer()))
)

// Time passes when the test says so: a retry that waits for an hour takes no time.

it.effect("dials again when the server comes back", () =>
  Effect.gen(function* () {
    const target = Multiserver.listen("memory:greeter~shs").pipe(
      Effect.map((listener) => listener.addresses()),
      Effect.scoped
    )
    const gone: ReadonlyArray<Address.Address> = yield* target
    const asked = yield* ask(gone, "Ada").pipe(
      Effect.retry({ schedule: Schedule.spaced("1 hour"), while: Multiserver.isRetryable }),
      Effect.forkChild
    )
    yield* TestClock.adjust(Duration.hours(3))
    yield* serving("memory:greeter~shs")
    yield* TestClock.adjust(Duration.hours(1))
    assert.strictEqual(yield* Fiber.join(asked), "hello Ada")
  }).pipe(Effect.provide(speaks().pipe(Layer.provide(Memory.layer()))))
)

// A network that does harm: this one cuts each connection somewhere in its first 100 bytes.

it.effect("a cut connection is a typed error, and never half an answer", () =>
  Effect.gen(function* () {
    const addresses = yield* serving("memory:greeter~shs")
    const error = yield* Effect.flip(ask(addresses, "Ada"))
    assert.include(["DialError", "ConnectionError"], error._tag)
  }).pipe(
    Effect.provide(
      speaks().pipe(
        Layer.provide(Chaos.layer("memory", { seed: 1, harm: { what: "cut", within: 100 } })),
        Layer.provide(Memory.layer())
      )
    )
  )
)
