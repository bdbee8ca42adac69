/** `listen --workers`: real processes, one of which is killed. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Multiserver from "../../src/Multiserver.ts"
import * as NodeIdentity from "../../src/NodeIdentity.ts"
import * as NodeMultiserver from "../../src/NodeMultiserver.ts"
import { startInside } from "./inside.ts"
import { type Event, eventsOf, folder, listen, start } from "./support.ts"

/**
 * How many dials the shares are counted of. The promise is about 6,000, as `npm run test:long -- workers` has them. Of
 * fewer, chance makes the shares less even.
 */
const dials = Number(process.env.WORKERS_DIALS ?? 600)
const tolerated = dials < 6000 ? 0.2 : 0.1

const live = NodeMultiserver.layer().pipe(Layer.provide(NodeIdentity.layerEphemeral))

const isAlive = (pid: number | undefined): boolean => {
  try {
    return pid !== undefined && process.kill(pid, 0)
  } catch {
    return false
  }
}

const gone = (pid: number | undefined) =>
  Effect.repeat(
    Effect.delay(
      Effect.sync(() => isAlive(pid)),
      "20 millis"
    ),
    { until: (alive) => !alive }
  )

const ofWorker = (events: ReadonlyArray<Event>, worker: number) => events.filter((each) => each.worker === worker)

describe("listen --workers 2", () => {
  it.live("shares a port evenly, loses with a killed worker only its own connections, and drains", () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listen("net:127.0.0.1:0~shs", "--echo", "--workers", "2")
      const multiserver = yield* Layer.build(live)
      const echo = (
        connection: { readonly write: (bytes: Uint8Array) => Effect.Effect<void, unknown> } & {
          readonly pull: Effect.Effect<unknown, unknown>
        }
      ) => Effect.andThen(connection.write(new Uint8Array([7])), connection.pull)
      const dial = Effect.provide(Multiserver.dial(address), multiserver)

      // A killed worker.
      yield* Effect.gen(function* () {
        const held = yield* Effect.replicateEffect(dial, 12)
        const connected = yield* listener.all("connected", 12)
        const own = ofWorker(connected, 1).length
        assert.strictEqual(own + ofWorker(connected, 2).length, 12)
        const [first] = ofWorker(yield* listener.all("worker-started", 2), 1)
        process.kill(first?.pid ?? 0, "SIGKILL")
        const exited = yield* listener.event("worker-exited")
        assert.deepStrictEqual(
          [exited.worker, exited.pid, exited.signal, exited.open, exited.restartMillis],
          [1, first?.pid, "SIGKILL", own, 100]
        )
        const lost = yield* listener.all("closed", own)
        assert.deepStrictEqual(
          lost.map(({ id, reason, worker }) => [id, reason, worker]),
          ofWorker(connected, 1).map(({ id }) => [id, "Other", 1])
        )
        const still = yield* Effect.forEach(held, (each) => Effect.isSuccess(echo(each)), { concurrency: 12 })
        assert.strictEqual(still.filter((is) => is).length, 12 - own)
      }).pipe(Effect.scoped)

      // The same one again: it is started later.
      const [, second] = ofWorker(yield* listener.all("worker-started", 3), 1)
      process.kill(second?.pid ?? 0, "SIGKILL")
      const [, again] = yield* listener.all("worker-exited", 2)
      assert.strictEqual(again?.restartMillis, 200)
      const started = yield* listener.all("worker-started", 4)

      // Newcomers come to both.
      const once = Effect.scoped(Effect.flatMap(dial, echo))
      yield* Effect.forEach(Array.from({ length: dials }), () => once, { concurrency: 8, discard: true })
      yield* listener.kill("SIGTERM")
      const { code, stderr } = yield* listener.exit
      assert.strictEqual(code, 0)
      const events = eventsOf(stderr)
      const connected = events.filter(({ event }) => event === "connected")
      assert.strictEqual(connected.length, 12 + dials)
      const shares = [1, 2].map((worker) => ofWorker(connected.slice(12), worker).length)
      for (const share of shares) assert.closeTo(share, dials / 2, (dials / 2) * tolerated, String(shares))
      assert.strictEqual(new Set(connected.map(({ id }) => id)).size, connected.length)
      assert.strictEqual(events.filter(({ event }) => event === "closed").length, connected.length)
      assert.strictEqual(events.filter(({ event }) => event === "listening").length, 1)
      for (const { pid } of started) assert.isFalse(isAlive(pid))
    }).pipe(Effect.scoped)
  )

  it.live("ends its workers when it is killed, and says so where its port is taken or can't be shared", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const { address, listener } = yield* listen("net:127.0.0.1:0~shs", "--echo", "--workers", "1")
      const [worker] = yield* listener.all("worker-started", 1)
      const place = address.slice(0, address.indexOf("~"))
      const other = yield* start(["listen", "--json", `${place}~shs`, "--echo", "--workers", "2"])
      const taken = yield* other.exit
      assert.strictEqual(taken.code, 1)
      assert.deepStrictEqual(
        eventsOf(taken.stderr).map(({ event, reason }) => [event, reason]),
        [["error", "AddressInUse"]]
      )
      const unix = yield* start(["listen", "--json", `unix:${directory}/socket`, "--echo", "--workers", "2"])
      const refused = yield* unix.exit
      assert.strictEqual(refused.code, 2)
      assert.match(refused.stderr, /unix belongs to one process/)
      yield* listener.kill("SIGKILL")
      yield* listener.exit
      yield* gone(worker?.pid)
    }).pipe(Effect.scoped)
  )
})

/** Wrong usage, and what is said about it. */
const wrong: ReadonlyArray<readonly [args: ReadonlyArray<string>, message: RegExp]> = [
  [["listen", "net:127.0.0.1:0~shs", "--workers", "2"], /--workers is for --echo/],
  [["listen", "net:127.0.0.1:0~shs", "--echo", "--once", "--workers", "2"], /--once stops after one/],
  [["bridge", "net:127.0.0.1:0", "net:127.0.0.1:1", "--once", "--workers", "2"], /--once stops after one/],
  [["listen", "--echo", "--address-file", "-", "--workers", "2"], /--address-file: with --workers each process/],
  [["listen", "net:127.0.0.1:0~shs", "--echo", "--workers", "0"], /0 workers are not possible/]
]

describe("--workers", () => {
  it.live.each(wrong)("%s is wrong usage", ([args, message]) =>
    Effect.gen(function* () {
      const run = yield* startInside(args)
      const { code, stderr } = yield* run.exit
      assert.strictEqual(code, 2)
      assert.match(stderr, message)
    }).pipe(Effect.scoped)
  )
})
