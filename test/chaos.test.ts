/**
 * Every stack over a transport that delays, splits, flips, cuts and resets: what arrives is right, and every bad end
 * has its name.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as TestClock from "effect/testing/TestClock"
import type { Connection } from "../src/Connection.ts"
import { ConnectionError } from "../src/ConnectionError.ts"
import * as NodeKem from "../src/crypto/NodeKem.ts"
import * as Sodium from "../src/crypto/Sodium.ts"
import { DialError } from "../src/DialError.ts"
import * as Deflate from "../src/deflate/Deflate.ts"
import type * as Events from "../src/Events.ts"
import * as Identity from "../src/Identity.ts"
import * as Limits from "../src/Limits.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Memory from "../src/memory/Memory.ts"
import * as Net from "../src/net/Net.ts"
import * as Noauth from "../src/noauth/Noauth.ts"
import * as Noise from "../src/noise/Noise.ts"
import * as NoisePq from "../src/noisepq/NoisePq.ts"
import * as Shs from "../src/shs/Shs.ts"
import * as Chaos from "../src/testing/Chaos.ts"
import { ports } from "./support/ports.ts"
import { pattern, recorder, sameBytes, served, turn } from "./support/servers.ts"

const transforms = [
  "",
  "~noauth",
  "~deflate",
  "~shs",
  "~noise",
  "~noisepq",
  "~shs~deflate",
  "~noise~deflate",
  "~deflate~shs"
] as const
const authenticating = ["~shs", "~noise", "~noisepq"]
const authenticates = (stack: string): boolean => authenticating.some((name) => stack.includes(name))

/** What one side has read, and how that ended. */
interface Side {
  readonly bytes: Uint8Array
  readonly ending: string
}

/** The reason of a typed failure; a defect is a failure of the test. */
const nameOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "clean end"
  assert.isFalse(
    exit.cause.reasons.some((reason) => reason._tag === "Die"),
    Cause.pretty(exit.cause)
  )
  const [reason] = exit.cause.reasons
  if (reason?._tag !== "Fail") return "interrupted"
  const { error } = reason
  if (error instanceof ConnectionError) return error.reason._tag
  if (error instanceof DialError) {
    return error.reason._tag === "HandshakeError" ? `handshake ${error.reason.reason._tag}` : error.reason._tag
  }
  return assert.fail(`not one of ours: ${String(error)}`)
}

/** Everything until the end, whatever it is. */
const read = (connection: Connection): Effect.Effect<Side> =>
  Effect.gen(function* () {
    const chunks: Array<Uint8Array> = []
    const exit = yield* connection.pull.pipe(
      Effect.map((batch) => {
        chunks.push(...batch.map((chunk) => chunk.slice()))
      }),
      Effect.forever({ disableYield: true }),
      Effect.catchIf(Cause.isDone, () => Effect.void),
      Effect.exit
    )
    return { bytes: new Uint8Array(Buffer.concat(chunks)), ending: nameOf(exit) }
  })

/** In writes of many sizes, from a buffer that is used again for each. */
const write = (connection: Connection, bytes: Uint8Array) =>
  Effect.gen(function* () {
    const buffer = new Uint8Array(6000)
    for (let from = 0, i = 1; from < bytes.length; i++) {
      const part = bytes.subarray(from, from + ((i * 977) % buffer.length))
      buffer.set(part)
      yield* connection.write(buffer.subarray(0, part.length))
      buffer.fill(0)
      from += part.length
    }
    yield* connection.end
  })

/** Says all and hears all, both at once. */
const talk = (connection: Connection, bytes: Uint8Array): Effect.Effect<Side> =>
  Effect.all([read(connection), Effect.map(Effect.exit(write(connection, bytes)), nameOf)], {
    concurrency: "unbounded"
  }).pipe(Effect.map(([side]) => side))

const toListener = pattern(20_000, 3)
const toDialer = pattern(30_000, 4)

const overNet = transforms.map((transform) => `net${transform}` as const)
const overPorts = ["port", "port~noise"] as const
const names = [...transforms.map((transform) => `memory${transform}` as const), ...overNet, ...overPorts]

/** zlib works on threads, in real time: beside it the virtual one flies, and deadlines would be over at once. */
const hour = Duration.hours(1)

/** One connection, until the listener has no more of it: what each side has read, and what was done to it. */
const exchange = (stack: string, options: Chaos.Options) =>
  Effect.gen(function* () {
    const harms: Array<Chaos.Done> = []
    const events: Array<Events.Event> = []
    const rough = { ...options, onHarm: (done: Chaos.Done) => void harms.push(done) }
    const layer = Multiserver.layer(names).pipe(
      Layer.provide([
        Chaos.layer("memory", rough).pipe(Layer.provide(Memory.layer())),
        Chaos.layer("net", rough).pipe(Layer.provide(Net.layer())),
        Chaos.layer("port", rough).pipe(Layer.provide(ports("p"))),
        Shs.layer(),
        Noise.layer(),
        NoisePq.layer(),
        Noauth.layer(),
        Deflate.layer()
      ]),
      Layer.provide([Identity.layerEphemeral, recorder(events), Limits.layer({ handshake: hour, close: hour })]),
      Layer.provide([Sodium.layer, NodeKem.layer])
    )
    const ends = () =>
      events.filter((event) => "role" in event && event.role === "listen" && event._tag !== "Connected")
    return yield* Effect.gen(function* () {
      let listener: Side | undefined
      const target = stack.replace(/^net/, "net:127.0.0.1:0").replace(/^(memory|port)/, "$1:p")
      const [address] = yield* served(target, (connection) =>
        Effect.map(talk(connection, toDialer), (side) => {
          listener = side
        })
      )
      const dialed = yield* Multiserver.dial(String(address)).pipe(
        Effect.flatMap((connection) => talk(connection, toListener)),
        Effect.scoped,
        Effect.exit
      )
      yield* turn.pipe(Effect.repeat({ until: () => ends().length > 0 }))
      const nothing = new Uint8Array(0)
      return {
        dialer: Exit.isSuccess(dialed) ? dialed.value : { bytes: nothing, ending: nameOf(dialed) },
        listener: listener ?? {
          bytes: nothing,
          ending: `handshake ${ends().map((end) => ("tag" in end ? end.tag : ""))}`
        },
        harm: harms[0],
        ends: ends().length
      }
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

type Outcome = Effect.Success<ReturnType<typeof exchange>>

// -----------------------------------------------------------------------------
// what has to hold
// -----------------------------------------------------------------------------

/** Who authenticates never gives its reader what was not sent, and calls an end clean only when all of it came. */
const checkAuthentic = (stack: string, { dialer, harm, listener }: Outcome): void => {
  for (const [side, sent] of [
    [listener, toListener],
    [dialer, toDialer]
  ] as const) {
    assert.isTrue(sameBytes(side.bytes, sent.subarray(0, side.bytes.length)), "bytes that were not sent")
    if (side.ending === "clean end") assert.strictEqual(side.bytes.length, sent.length)
  }
  // With deflate below, a bit may fall where it means nothing, and the end of the stream behind the goodbye.
  if (harm === undefined || stack.includes("~deflate~shs")) return
  const harmed = { dialer, listener }[harm.toward].ending
  assert.match(harmed, endings[harm.what])
}

const endings = {
  flip: /^(Tampered|ProtocolViolation|handshake (WrongNetwork|PeerMisbehaved))$/,
  cut: /^(Truncated|handshake Rejected)$/,
  reset: /^(Reset|Truncated|handshake Rejected)$/
}

/** The dialer is where it was reset: unless it had all by then, it hears so. */
const checkReset = ({ dialer, harm }: Outcome): void => {
  if (harm !== undefined) assert.match(dialer.ending, /^(Reset|clean end|handshake Rejected)$/)
}

const whole = ({ dialer, ends, harm, listener }: Outcome): void => {
  assert.strictEqual(harm, undefined)
  assert.deepStrictEqual([dialer.ending, listener.ending, ends], ["clean end", "clean end", 1])
  assert.isTrue(sameBytes(dialer.bytes, toDialer) && sameBytes(listener.bytes, toListener))
}

const harmed = (stack: string, what: Chaos.Harm["what"], outcome: Outcome): void => {
  assert.strictEqual(outcome.ends, 1)
  if (authenticates(stack)) checkAuthentic(stack, outcome)
  if (what === "reset") checkReset(outcome)
}

/** Fibers by Effect's own account. */
const fiberCount = () => {
  let live = 0
  const service: Metric.FiberRuntimeMetricsService = {
    recordFiberStart: () => void live++,
    recordFiberEnd: () => void live--
  }
  return { live: () => live, layer: Layer.succeed(Metric.FiberRuntimeMetrics, service) }
}

/** Runs for each seed, and leaves no fiber behind. */
const forSeeds = (count: number, run: (seed: number) => Effect.Effect<void, unknown>) =>
  Effect.gen(function* () {
    const fibers = fiberCount()
    yield* Effect.gen(function* () {
      const before = fibers.live()
      for (let seed = 1; seed <= count; seed++) yield* run(seed)
      yield* turn
      assert.strictEqual(fibers.live(), before, "fibers are left")
    }).pipe(Effect.provide(fibers.layer))
  })

/** Lets the test's clock run for as long as the effect does. */
const inVirtualTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.raceFirst(effect, Effect.forever(Effect.andThen(TestClock.adjust("20 millis"), turn)))

const splits = [undefined, 60, 500, 5000]
const withins = [80, 250, 2000, 20_000]
const harms = ["flip", "cut", "reset"] as const

/**
 * How many seeds. Within twelve, each way to split comes with each way to delay. `npm run test:long -- chaos` has more
 * of them.
 */
const [virtual, real] = process.env.CHAOS === "all" ? [48, 16] : [12, 4]

/** Virtual time costs nothing; of the real one there is little. */
const rough = (seed: number, real: boolean): Chaos.Options => {
  const split = real ? 4000 : splits[seed % splits.length]
  const delay = seed % 3 === 0 ? 0 : real ? 2 : 20
  return { seed, delay, ...(split === undefined ? {} : { split }) }
}

/** The same for both transports; `around` is where its time comes from. */
const suite = (stack: string, seeds: number, around: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>) => ({
  whole: forSeeds(seeds, (seed) => Effect.map(around(exchange(stack, rough(seed, seeds === real))), whole)),
  harmed: (what: Chaos.Harm["what"]) =>
    Effect.gen(function* () {
      let done = 0
      yield* forSeeds(seeds, (seed) => {
        const harm = { what, within: withins[seed % withins.length] as number }
        return Effect.map(around(exchange(stack, { ...rough(seed, seeds === real), harm })), (outcome) => {
          if (outcome.harm !== undefined) done++
          harmed(stack, what, outcome)
        })
      })
      assert.isAbove(done, seeds / 2, "harm done")
    })
})

describe.each(transforms.map((transform) => `memory${transform}`))("%s, in virtual time", (stack) => {
  const { harmed, whole } = suite(stack, virtual, inVirtualTime)
  it.effect("delivers all, however it is delayed and split", () => whole)
  for (const what of harms) it.effect(`has a name for each ${what}`, () => harmed(what))
})

describe.each([...overNet, ...overPorts])("%s", (stack) => {
  const { harmed, whole } = suite(stack, real, (effect) => effect)
  it.live("delivers all, however it is delayed and split", () => whole)
  for (const what of harms) it.live(`has a name for each ${what}`, () => harmed(what))
})
