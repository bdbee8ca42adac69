import * as fs from "node:fs"
import { Console, Data, Deferred, Effect, Exit, Fiber, Layer, Queue, Random, Schedule, Scope, Stream } from "effect"
import {
  Connection,
  Identity,
  Lookup,
  Multiserver,
  Net,
  NodeKem,
  Noise,
  NoisePq,
  PeerMultiserver,
  Shs,
  Sodium,
  Tracker
} from "effect-multiserver/node"
import { legend, line, type Step, svg } from "./shares.ts"

// A protocol is rolled out by what is looked up. Ten peers dial each other by key, all the time. One after the other is
// updated, first to a version that also speaks noise, then to one that speaks noise and noisepq, and shs no more. No
// peer is told what another one speaks: its record says so. docs/upgrading.md has the chart.

// -----------------------------------------------------------------------------
// three versions of a program
// -----------------------------------------------------------------------------

const protocols = Layer.mergeAll(Net.layer(), Shs.layer(), Noise.layer(), NoisePq.layer()).pipe(
  Layer.provide(NodeKem.layer)
)

/** What a version speaks, and where it listens. */
const versions = [
  { stacks: Multiserver.layer(["net~shs"]).pipe(Layer.provide(protocols)), listens: "net:127.0.0.1:0~shs" },
  {
    stacks: Multiserver.layer(["net~shs", "net~noise"]).pipe(Layer.provide(protocols)),
    listens: "net:127.0.0.1:0~noise;net:127.0.0.1:0~shs"
  },
  {
    stacks: Multiserver.layer(["net~noise", "net~noisepq"]).pipe(Layer.provide(protocols)),
    listens: "net:127.0.0.1:0~noisepq;net:127.0.0.1:0~noise"
  }
] as const

type Version = (typeof versions)[number]

/** The program: it dials keys, and publishes where it listens. All peers are on one IP, which gets many attempts. */
const program = ({ stacks }: Version, identity: Identity.KeyPair, tracker: Multiserver.Target) =>
  PeerMultiserver.layer({ dial: {}, attempts: { most: 10_000, every: "1 minute" } }).pipe(
    Layer.provideMerge(Lookup.layer([Tracker.source({ at: tracker })])),
    Layer.provide(stacks),
    Layer.provide([Layer.succeed(Identity.Identity, identity), Sodium.layer])
  )

/** Listens and publishes as long as the scope. */
const serve = Effect.fnUntraced(function* ({ listens }: Version) {
  const listener = yield* Multiserver.listen(listens)
  yield* Effect.forkScoped(listener.run((peer) => Stream.run(Connection.stream(peer), Connection.sink(peer))))
  yield* Lookup.publish(listener.addresses())
})

// -----------------------------------------------------------------------------
// peers
// -----------------------------------------------------------------------------

/** The peer said goodbye before it answered, because it stops to be updated. */
class NoAnswer extends Data.TaggedError("NoAnswer") {}

/** One message there and back. Gives the protocol that protected it. */
const exchange = (key: Identity.PublicKey) =>
  Effect.gen(function* () {
    const connection = yield* Multiserver.dial(PeerMultiserver.address(key))
    yield* connection.write(new TextEncoder().encode("hello"))
    yield* connection.end
    const answer = yield* Connection.stream(connection).pipe(Stream.decodeText, Stream.mkString)
    if (answer !== "hello") return yield* new NoAnswer()
    return connection.remote.stack.replace("net~", "")
  }).pipe(Effect.scoped)

/** A peer that is being updated is away for a moment. */
const soon = Schedule.min([Schedule.exponential("20 millis"), Schedule.spaced("500 millis")])

/** A peer: it says hello to the others by turns, and can be updated between two hellos. */
const makePeer = Effect.fnUntraced(function* (
  identity: Identity.KeyPair,
  others: Effect.Effect<Identity.PublicKey>,
  tracker: Multiserver.Target,
  spoken: Queue.Queue<string>
) {
  const running = yield* Effect.scope
  type Ended = Effect.Effect<void, Effect.Error<ReturnType<typeof exchange>>>
  let fallSilent: Ended = Effect.void
  let stop: Effect.Effect<void> = Effect.void

  /** Runs this version instead of the one before. */
  const update = Effect.fnUntraced(function* (version: Version) {
    yield* fallSilent
    yield* stop
    const own = yield* Scope.fork(running)
    const context = yield* Scope.provide(Layer.build(program(version, identity, tracker)), own)
    yield* Effect.provide(Scope.provide(serve(version), own), context)
    const enough = yield* Deferred.make<void>()
    const hello = Effect.gen(function* () {
      const key = yield* others
      const protocol = yield* Effect.retry(exchange(key), {
        schedule: soon,
        times: 100,
        // Whoever stops in the middle of a handshake can't be told from one who refuses, so each dial is tried again.
        // Whatever else fails has lost a connection, and the story fails.
        while: ({ _tag }) => _tag === "NoAnswer" || _tag === "DialError"
      })
      yield* Queue.offer(spoken, protocol)
      yield* Effect.sleep("5 millis")
    })
    const hellos = yield* Effect.repeat(hello, { until: () => Deferred.isDone(enough) }).pipe(
      Effect.provide(context),
      Effect.forkIn(running)
    )
    fallSilent = Effect.andThen(Deferred.succeed(enough, undefined), Effect.asVoid(Fiber.join(hellos)))
    stop = Scope.close(own, Exit.void)
  })
  return { update, fallSilent: Effect.suspend(() => fallSilent) }
})

// -----------------------------------------------------------------------------
// the story
// -----------------------------------------------------------------------------

/** How many hellos make a step. */
const hellos = 40

/** What the next hellos were spoken over. */
const countedStep = (spoken: Queue.Queue<string>, label: string) =>
  Queue.clear(spoken).pipe(
    Effect.andThen(Queue.takeN(spoken, hellos)),
    Effect.map((protocols): Step => {
      const counts: Record<string, number> = {}
      for (const protocol of protocols) counts[protocol] = (counts[protocol] ?? 0) + 1
      return { label, counts }
    }),
    Effect.tap((step) => Console.log(line(step)))
  )

/** Ten peers, from shs to noise and noisepq. Gives the share of each protocol after each update. */
export const story = Effect.gen(function* () {
  const trackerIdentity = yield* Identity.generate
  const tracker = yield* Layer.build(
    Tracker.layer("net:127.0.0.1:0~noise;net:127.0.0.1:0~shs").pipe(
      Layer.provide(versions[1].stacks),
      Layer.provide([Layer.succeed(Identity.Identity, trackerIdentity), Sodium.layer])
    )
  )
  const { addresses } = yield* Effect.provide(Tracker.Tracker, tracker)
  const identities = yield* Effect.all(Array.from({ length: 10 }, () => Identity.generate))
  const spoken = yield* Queue.unbounded<string>()
  const peers = yield* Effect.forEach(identities, (identity) => {
    const others = identities.filter((other) => other !== identity).map(({ publicKey }) => publicKey)
    const next = Effect.map(
      Random.nextIntBetween(0, others.length, { halfOpen: true }),
      (i) => others[i] ?? identity.publicKey
    )
    return makePeer(identity, next, addresses(), spoken)
  })
  const [one, two, three] = versions
  yield* Console.log(legend)
  yield* Effect.forEach(peers, ({ update }) => update(one), { concurrency: "unbounded" })
  const steps = [yield* countedStep(spoken, "0 updated")]
  for (const version of [two, three]) {
    for (const { update } of peers) {
      yield* update(version)
      steps.push(yield* countedStep(spoken, `${steps.length} updated`))
    }
  }
  yield* Effect.forEach(peers, ({ fallSilent }) => fallSilent, { concurrency: "unbounded" })
  return steps
}).pipe(Effect.scoped, Effect.provide(Sodium.layer))

if (import.meta.main) {
  const [, , file] = process.argv
  const told = Effect.gen(function* () {
    const steps = yield* story
    if (file !== undefined) {
      yield* Effect.sync(() => fs.writeFileSync(file, svg(steps, "A protocol is rolled out by what is looked up")))
      yield* Console.log(`the chart is in ${file}`)
    }
  })
  await Effect.runPromise(told)
}
