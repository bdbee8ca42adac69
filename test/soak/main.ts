/**
 * npm run soak                      a minute of 200 connections at once, honest and hostile, against a server of its
 * own npm run soak -- --seconds 600     longer; --connections 50, --seed 5
 *
 * Prints a table of what grew, and exits with 1 when something did that should not have.
 */
import { spawn } from "node:child_process"
import * as net from "node:net"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as AppKey from "../../src/AppKey.ts"
import type { Connection } from "../../src/Connection.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Identity from "../../src/Identity.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Net from "../../src/net/Net.ts"
import * as Shs from "../../src/shs/Shs.ts"
import * as Chaos from "../../src/testing/Chaos.ts"
import { Random } from "../fuzz/random.ts"
import { primitives } from "../support/primitives.ts"
import { appKeyBytes, judge, type Measured, type Sample } from "./measures.ts"

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    connections: { type: "string", default: "200" },
    seed: { type: "string", default: String(Date.now() >>> 0) }
  }
})
const seconds = Number(values.seconds)
const seed = Number(values.seed)
/** Long enough for code to be compiled and buffers to be as large as they get. */
const warmUpSeconds = Math.max(10, seconds / 5)

// -----------------------------------------------------------------------------
// the server
// -----------------------------------------------------------------------------

const server = Effect.gen(function* () {
  const script = fileURLToPath(new URL("./server.ts", import.meta.url))
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, ["--expose-gc", script], { stdio: ["pipe", "pipe", "inherit"] })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const lines = yield* Queue.unbounded<string>()
  createInterface({ input: child.stdout }).on("line", (line) => Queue.offerUnsafe(lines, line))
  child.once("exit", (code, signal) => {
    Queue.failCauseUnsafe(lines, Cause.die(new Error(`the server is gone: ${code ?? signal}`)))
  })
  const { address, port }: { readonly address: string; readonly port: number } = JSON.parse(yield* Queue.take(lines))
  const measure = Effect.andThen(
    Effect.sync(() => child.stdin.write("\n")),
    Effect.map(Queue.take(lines), (line): Measured => JSON.parse(line))
  )
  return { address, port, measure }
})

// -----------------------------------------------------------------------------
// who connects
// -----------------------------------------------------------------------------

/** Who dials: over the transport as it is, or over one that does harm. */
const dialers = (harm?: Chaos.Harm) =>
  Multiserver.layer(["net~shs"]).pipe(
    Layer.provide([
      harm === undefined
        ? Net.layer()
        : Chaos.layer("net", { seed, delay: 20, split: 3000, harm }).pipe(Layer.provide(Net.layer())),
      Shs.layer()
    ]),
    Layer.provide(AppKey.layer(Redacted.make(appKeyBytes))),
    Layer.provide(Identity.layerEphemeral),
    Layer.provide(Sodium.layer)
  )

type Dial = Multiserver.Multiserver["Service"]["dial"]
type Visit = Effect.Effect<unknown, unknown>

/** Sends and reads back, says goodbye, and hears one. */
const exchange = (connection: Connection, bytes: Uint8Array) =>
  Effect.gen(function* () {
    let received = 0
    const reading = connection.pull.pipe(
      Effect.map((chunks) => {
        for (const chunk of chunks)
          received +=
            Buffer.compare(chunk, bytes.subarray(received, received + chunk.length)) === 0 ? chunk.length : Number.NaN
      }),
      Effect.forever({ disableYield: true }),
      Effect.catchIf(Cause.isDone, () => Effect.void)
    )
    const writing = Effect.andThen(connection.write(bytes), connection.end)
    yield* Effect.all([reading, writing], { concurrency: "unbounded" })
    if (received !== bytes.length) return yield* Effect.die(new Error(`${received} of ${bytes.length} bytes came back`))
  })

const honest = (dial: Dial, address: string, random: Random): Visit =>
  Effect.flatMap(dial(address), (connection) =>
    exchange(connection, random.bytes(random.pick([10, 1000, 30_000, 300_000])))
  ).pipe(Effect.scoped)

/** Says a little now and then, and stays. */
const idle = (dial: Dial, address: string, random: Random): Visit =>
  Effect.gen(function* () {
    const connection = yield* dial(address)
    for (let left = random.between(1, 5); left > 0; left--) {
      yield* Effect.sleep(random.between(100, 1000))
      yield* connection.write(random.bytes(20))
      yield* connection.pull
    }
    yield* connection.end
  }).pipe(Effect.scoped)

/** A TCP connection that says these bytes, waits, and goes by FIN or RST. */
const raw = (port: number, bytes: Uint8Array, millis: number, reset: boolean): Visit =>
  Effect.callback<void>((resume) => {
    const socket = net.connect(port, "127.0.0.1")
    socket.on("error", () => {}).on("close", () => resume(Effect.void))
    socket.resume()
    socket.write(bytes)
    const timer = setTimeout(() => (reset ? socket.resetAndDestroy() : socket.end()), millis)
    return Effect.sync(() => {
      clearTimeout(timer)
      socket.destroy()
    })
  })

/** The true first message of one who never sends another. */
const hello = (): Uint8Array => {
  const { publicKey } = primitives.x25519KeyPair()
  return Buffer.concat([primitives.hmac(appKeyBytes, publicKey), publicKey])
}

// -----------------------------------------------------------------------------
// the run
// -----------------------------------------------------------------------------

const harms = ["flip", "cut", "reset"] as const

const run = Effect.gen(function* () {
  const { address, measure, port } = yield* server
  const calm = Context.get(yield* Layer.build(dialers()), Multiserver.Multiserver).dial
  const rough = yield* Effect.forEach(harms, (what) =>
    Effect.map(
      Layer.build(dialers({ what, within: 20_000 })),
      (context) => Context.get(context, Multiserver.Multiserver).dial
    )
  )
  const visited: Record<string, number> = {}
  const count = (what: string) =>
    Effect.sync(() => {
      visited[what] = (visited[what] ?? 0) + 1
    })
  let stopping = false
  let visits = 0
  let failed = 0

  const hostile = (random: Random): Visit => {
    const millis = random.pick([0, 10, 500, 3000])
    const reset = random.oneIn(2)
    switch (random.below(5)) {
      case 0:
        return Effect.andThen(count("silence"), raw(port, new Uint8Array(0), millis, reset))
      case 1:
        return Effect.andThen(
          count("garbage"),
          raw(port, random.bytes(random.pick([1, 64, 200, 50_000])), millis, reset)
        )
      case 2:
        return Effect.andThen(
          count("half a hello"),
          raw(port, hello().subarray(0, random.between(1, 63)), millis, reset)
        )
      case 3:
        return Effect.andThen(count("half a handshake"), raw(port, hello(), millis, reset))
      default: {
        const which = random.below(harms.length)
        const dial = rough[which] ?? calm
        return Effect.andThen(count(harms[which] ?? ""), Effect.ignore(honest(dial, address, random)))
      }
    }
  }
  const visit = (random: Random): Visit => {
    if (random.oneIn(2)) return hostile(random)
    const [what, exchange] = random.oneIn(4) ? (["idle", idle] as const) : (["honest", honest] as const)
    return Effect.flatMap(Effect.exit(exchange(calm, address, random)), (exit) => {
      if (Exit.isSuccess(exit)) return count(what)
      failed++
      return Effect.sync(() => console.error(`an honest exchange failed: ${Cause.pretty(exit.cause)}`))
    })
  }
  /** As many at once as are asked for, one after another each, until the time is over; then until all are gone. */
  const load = (millis: number) =>
    Effect.gen(function* () {
      stopping = false
      const visitors = yield* Effect.forkScoped(
        Effect.forEach(
          Array.from({ length: Number(values.connections) }),
          () => Effect.suspend(() => visit(new Random(seed, visits++))).pipe(Effect.repeat({ until: () => stopping })),
          { concurrency: "unbounded", discard: true }
        )
      )
      yield* Effect.sleep(millis)
      stopping = true
      yield* Fiber.join(visitors)
    })
  /** When the server has let go of everybody, which its deadline for handshakes bounds, and a collection later. */
  const quiet = Effect.andThen(Effect.sleep("1 second"), measure).pipe(
    Effect.repeat({ until: ({ fibers }) => fibers <= idleFibers, times: 12 }),
    Effect.andThen(Effect.sleep("2 seconds")),
    Effect.andThen(measure)
  )

  const idleFibers = (yield* measure).fibers
  console.log(`seed ${seed}: ${values.connections} connections for ${seconds} s, after ${warmUpSeconds} s to warm up`)
  yield* load(warmUpSeconds * 1000)
  const before = yield* quiet

  const samples: Array<Sample> = []
  const started = performance.now()
  const sampling = yield* Effect.forkScoped(
    Effect.andThen(Effect.sleep("1 second"), measure).pipe(
      Effect.map((measured) => void samples.push({ ...measured, seconds: (performance.now() - started) / 1000 })),
      Effect.repeat({ while: () => !stopping })
    )
  )
  yield* load(seconds * 1000)
  yield* Fiber.interrupt(sampling)
  const after = yield* quiet

  // It takes a while until those who stay long are as many as they will be, and in the end they leave.
  const steady = samples.filter((sample) => sample.seconds > seconds / 5 && sample.seconds < seconds)
  const findings = judge(before, after, steady, { done: (visited.honest ?? 0) + (visited.idle ?? 0), failed })
  console.table(
    steady
      .filter((_, i) => i % Math.ceil(steady.length / 12) === 0)
      .map(({ fds, fibers, heap, rss, seconds }) => ({
        seconds: Math.round(seconds),
        "heap MiB": Number((heap / 2 ** 20).toFixed(2)),
        "rss MiB": Math.round(rss / 2 ** 20),
        fds,
        fibers
      }))
  )
  console.log("visits", visited)
  console.log("ends", after.ends)
  console.table(findings)
  return findings.every(({ holds }) => holds)
})

Effect.runPromiseExit(Effect.scoped(run)).then((exit) => {
  if (Exit.isFailure(exit)) console.error(Cause.pretty(exit.cause))
  process.exitCode = Exit.isSuccess(exit) && exit.value ? 0 : 1
})
