import { fileURLToPath } from "node:url"
import { NodeServices } from "@effect/platform-node"
import { Cause, Console, Effect, Exit, FileSystem, Layer, Option, Schema, Scope, Stream, SubscriptionRef } from "effect"
import { ChildProcess } from "effect/process"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import {
  type Address,
  Connection,
  Events,
  Identity,
  Multiserver,
  Net,
  Noise,
  Policy,
  Shs,
  Sodium
} from "effect-multiserver/node"

// From shs to noise without an outage: serve both under one identity, let each peer take the best that it speaks, and
// drop the old one when nobody needs it. docs/upgrading.md tells the story.

// -----------------------------------------------------------------------------
// the server: listeners that come and go, and what is published of them
// -----------------------------------------------------------------------------

type Published = ReadonlyMap<string, ReadonlyArray<Address.Address>>

/** Sends back what it gets. When its listener drains, `pull` fails, and what has been written still gets through. */
const echo = (peer: Connection.Connection) =>
  peer.pull.pipe(
    Effect.flatMap(peer.writeAll),
    Effect.forever({ disableYield: true }),
    Effect.catchIf(Cause.isDone, () => Effect.void)
  )

const makeServer = Effect.gen(function* () {
  const scope = yield* Effect.scope
  const published = yield* SubscriptionRef.make<Published>(new Map())
  return {
    /** What peers are told, now and whenever it changes: write it to a file, a DNS record, gossip. */
    published: SubscriptionRef.changes(published).pipe(
      Stream.map((all) => [...all.values()].flat()),
      Stream.changesWith((a, b) => a.join(";") === b.join(";"))
    ),
    /** Listens, publishes, and serves. What comes back retires it: unpublished first, then drained. */
    add: Effect.fnUntraced(function* (target: string) {
      const own = yield* Scope.fork(scope)
      const listener = yield* Scope.provide(Multiserver.listen(target), own)
      yield* Effect.forkIn(listener.run(echo), own)
      const publish = (addresses: ReadonlyArray<Address.Address>) =>
        SubscriptionRef.update(published, (all) => new Map(all).set(target, addresses))
      yield* publish(listener.addresses())
      yield* Effect.forkIn(Stream.runForEach(listener.addressChanges(), publish), own)
      const unpublish = SubscriptionRef.update(
        published,
        (all): Published => new Map([...all].filter(([each]) => each !== target))
      )
      return Effect.andThen(unpublish, Scope.close(own, Exit.void))
    })
  }
})

// -----------------------------------------------------------------------------
// peers
// -----------------------------------------------------------------------------

/** A peer of today speaks both, and takes noise where it is offered: an order of its policy, not of each dial. */
const today = Multiserver.layer(["net~noise", "net~shs"]).pipe(
  Layer.provide([Net.layer(), Shs.layer(), Noise.layer()]),
  Layer.provide(Policy.layer({ order: Policy.prefer("noise", "shs") })),
  Layer.provide(
    Events.layer((event) =>
      event._tag === "Fallback"
        ? Console.log(`fallback from ${event.from} to ${event.to}: ${event.failed.reason._tag}`)
        : Effect.void
    )
  )
)
/** One of tomorrow has dropped shs: it never speaks it again, whatever it is offered. */
const tomorrow = Multiserver.layer(["net~noise"]).pipe(Layer.provide([Net.layer(), Noise.layer()]))

const stackOf = (peer: Connection.Connection) => peer.remote.stack
/** Says something and waits until it has come back. */
const ask = Effect.fnUntraced(function* (peer: Connection.Connection, question: string) {
  yield* peer.write(new TextEncoder().encode(question))
  let answer = ""
  while (answer.length < question.length) {
    for (const chunk of yield* peer.pull) answer += new TextDecoder().decode(chunk)
  }
  return answer
})

const Exchanged = Schema.fromJsonString(
  Schema.Struct({ version: Schema.String, received: Schema.Struct({ bytes: Schema.Int }) })
)
/** A peer of yesterday: npm multiserver, which speaks shs and nothing newer, in a process of its own. */
const yesterday = Effect.fnUntraced(function* (address: string, keyFile: string) {
  const script = fileURLToPath(new URL("npm-peer.mjs", import.meta.url))
  const spawner = yield* ChildProcessSpawner
  const output = yield* spawner.string(
    ChildProcess.make(process.execPath, [script, address, keyFile, String(1 << 20)], { stderr: "inherit" })
  )
  const { received, version } = yield* Schema.decodeEffect(Exchanged)(output)
  return `npm multiserver ${version} takes the first, and gets ${received.bytes} bytes back`
})

// -----------------------------------------------------------------------------
// the story
// -----------------------------------------------------------------------------

const names = (addresses: ReadonlyArray<Address.Address>) => addresses.map(({ stack }) => stack).join(" and ")

const story = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const keyFile = `${yield* fs.makeTempDirectoryScoped()}/secret`
  yield* Identity.save(keyFile, yield* Identity.generate)
  const server = yield* makeServer
  const published = Effect.map(Stream.runHead(server.published), Option.getOrThrow)
  yield* server.published.pipe(
    Stream.filter((all) => all.length > 0),
    Stream.runForEach((all) => Console.log(`published: ${names(all)}`)),
    Effect.forkScoped({ startImmediately: true })
  )

  // 1. Where everybody starts.
  const retireShs = yield* server.add("net:127.0.0.1:0~shs")
  const before = yield* published
  const old = yield* Multiserver.dial(before)
  yield* Console.log(`a peer of today is over ${stackOf(old)}, because that is all there is`)

  // 2. noise beside it. Nobody is disturbed; who looks at what is published takes it.
  const retireNoise = yield* server.add("net:127.0.0.1:0~noise")
  const both = yield* published
  yield* Console.log(yield* yesterday(both.join(";"), keyFile))
  const strong = yield* Multiserver.dial(both)
  yield* Console.log(
    `a peer of today is over ${stackOf(strong)} now, and the one before is still here: ${yield* ask(old, "yes")}`
  )

  // 3. noise is away for a moment: each fallback is an event, and only to an address that was published.
  yield* retireNoise
  yield* Effect.scoped(
    Effect.flatMap(Multiserver.dial(both), (peer) => Console.log(`a peer of today is over ${stackOf(peer)}`))
  )
  const left = yield* Effect.flip(strong.pull)
  yield* Console.log(`who was over noise has heard a goodbye: ${Cause.isDone(left)}`)
  yield* server.add("net:127.0.0.1:0~noise")
  const again = yield* Multiserver.dial(yield* published)

  // 4. The day has come: shs goes. Its connections finish what they were at; the others don't notice.
  const answered = yield* ask(old, "one more")
  yield* retireShs
  yield* Stream.runDrain(Connection.stream(old))
  yield* Console.log(`over shs, "${answered}" was answered, and then came a clean end`)
  yield* Console.log(`over noise, the connection goes on: ${yield* ask(again, "yes")}`)
  const refused = yield* Effect.flip(Multiserver.dial(before))
  yield* Console.log(`the old address is ${refused.reason._tag}`)

  // 5. Peers drop it too. A list of stacks is the limit of what is spoken, so an old address can't bring it back.
  yield* Effect.gen(function* () {
    const peer = yield* Multiserver.dial(yield* published)
    const { reason } = yield* Effect.flip(Multiserver.dial(before))
    yield* Console.log(`a peer of tomorrow is over ${stackOf(peer)}, and the old address is ${reason._tag}`)
  }).pipe(Effect.provide(tomorrow))
})

await story.pipe(
  Effect.scoped,
  Effect.provide(today),
  Effect.provide(Identity.layerEphemeral),
  Effect.provide([Sodium.layer, NodeServices.layer]),
  Effect.timeout("2 minutes"),
  Effect.runPromise
)
