/**
 * Floods of newcomers, silent or answered, from one source and from many; and what they cost those who are honest and
 * slow.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Checks } from "../checks.ts"
import type { Scenario } from "../scenario.ts"
import { attacker, patient, type Size, sameAs, settled, startTarget, sum, type Target } from "../world.ts"

const honest = "127.0.1.1"
const many = (name: (i: number) => string) => Array.from({ length: 250 }, (_, i) => name(i))

interface Flood {
  readonly from: string
  readonly sources: ReadonlyArray<string>
  /** Whether the honest have a source of their own. */
  readonly own: boolean
}

/** On Linux the whole of 127.0.0.0/8 is this machine; elsewhere it has one address that is sure to be there. */
const floods: ReadonlyArray<Flood> =
  process.platform === "linux"
    ? [
        { from: "one other source", sources: ["127.9.9.9"], own: true },
        { from: "250 of its own /24", sources: many((i) => `127.0.1.${i + 2}`), own: true },
        { from: "250, each of another /16", sources: many((i) => `127.${i + 2}.0.1`), own: true },
        { from: "its own source", sources: [honest], own: false }
      ]
    : [{ from: "its own source", sources: ["127.0.0.1"], own: false }]

const guestSource = process.platform === "linux" ? honest : "127.0.0.1"

const rates = [50, 150, 500, 1500]

const Newcomers = Schema.Struct({ connections: Schema.Int, undecided: Schema.Int, perSecond: Schema.Int })
const Guests = Schema.Struct({
  served: Schema.Int,
  failures: Schema.Array(Schema.String),
  p50: Schema.Int,
  p99: Schema.Int,
  max: Schema.Int
})

/**
 * One flood at one rate, beside the honest, in the full size; in the quick one some newcomers to each of the honest.
 */
const flooded = (target: Target, size: Size, answered: boolean, sources: ReadonlyArray<string>, rate: number) =>
  Effect.gen(function* () {
    const full = size === "full"
    const visit = { target: target.address, source: guestSource }
    const slow = { ...visit, atOnce: 4, pause: 50, patience: 3000 }
    const order = { target: target.address, answered, sources }
    const [guests, newcomers] = yield* Effect.all(
      [
        attacker("guests", full ? slow : { ...visit, pause: 1, patience: 120_000 }, Guests),
        attacker("newcomers", full ? { ...order, rate } : order, Newcomers)
      ],
      { concurrency: 2 }
    )
    yield* newcomers.says
    if (full) {
      yield* guests.says
      yield* Effect.sleep("4 seconds")
    } else {
      // More than there is room for, and few while one of the honest is on its way.
      for (let i = 0; i < 8; i++) {
        yield* newcomers.tell({ count: 4 })
        yield* guests.tell({})
        yield* guests.says
      }
    }
    yield* guests.stop
    const served = yield* guests.result
    yield* newcomers.stop
    return { served, came: yield* newcomers.result }
  })

const run =
  (answered: boolean) =>
  (stack: string, size: Size): Effect.Effect<ReturnType<Checks["verdict"]>, never, Scope.Scope> =>
    Effect.gen(function* () {
      const checks = new Checks()
      const full = size === "full"
      const env: Record<string, string> = {
        MULTISERVER_EXEMPT_LOOPBACK: "false",
        ...(full ? {} : { ...patient, MULTISERVER_SOURCE_CONNECTIONS: "16", MULTISERVER_PENDING_HANDSHAKES: "24" })
      }
      const target = yield* startTarget(stack, { env })
      // What is made once is made by the first.
      const warm = yield* flooded(target, "quick", answered, [guestSource], 0)
      const before = yield* settled(target.counts)
      let exchanges = warm.served.served
      let connections = warm.came.connections
      let unsure = warm.served.failures.length + warm.came.undecided
      const measured: Array<string> = []
      for (const { from, own, sources } of floods) {
        const cells: Array<string> = []
        for (const rate of full ? rates : rates.slice(0, 1)) {
          const { came, served } = yield* flooded(target, size, answered, sources, rate)
          const all = served.served + served.failures.length
          const share = (100 * served.failures.length) / all
          exchanges += served.served
          connections += came.connections
          unsure += served.failures.length + came.undecided
          cells.push(`${Math.round(share)}`)
          const where = `flood from ${from} at ${rate} a second`
          const why = served.failures[0] ?? ""
          if (!full) {
            checks.holds(share === 0, `${where}: ${served.failures.length} of ${all} failed: ${why}`)
            continue
          }
          const most = own ? 1 : rate <= 150 ? 10 : 100
          checks.inTime(share <= most, `${where}: ${share.toFixed(1)} of 100 failed: ${why}`)
          checks.inTime(came.perSecond >= rate * 0.9, `${where}: there were only ${came.perSecond} a second`)
        }
        measured.push(`${from} ${cells.join(", ")}`)
      }
      checks.holds(target.isAlive(), "the server died")
      const after = yield* sameAs(before, target.counts, checks, "the server")
      const tags = target.tags()
      checks.holds((tags["handshake Displaced"] ?? 0) > 0, "nobody made room")
      // Who was refused or ended has an event too. The kernel tells some that they have come whom it has no room for.
      const events = sum(tags) + sum(after.refused ?? {})
      const [most, least] = [exchanges + connections + unsure, full ? 0 : exchanges + connections]
      checks.holds(
        events >= least && events <= most,
        `${events} events, not ${least} to ${most}: ${JSON.stringify(tags)}`
      )
      const of = full ? ` at ${rates.join(", ")} a second` : ""
      return checks.verdict(`of 100 honest fail${of}, flood from ${measured.join("; ")}`)
    })

const promise =
  "with a source of its own, an honest client fails at most 1 time in 100 at 50, 150, 500 and 1,500 a second; on the flood's source at most 1 time in 10 at 150"

const silent: Scenario = {
  name: "newcomers, silent",
  asset: "availability",
  attacker: "network",
  threat: "newcomers that send nothing, from one source and from many, take the places of honest ones",
  answer:
    "the oldest newcomer is closed, of the same source when that source is full; only newcomers that send something count for a source's rate",
  promise,
  once: true,
  run: run(false)
}

const answered: Scenario = {
  name: "newcomers, answered",
  asset: "availability",
  attacker: "network, app-key holder",
  threat: "newcomers that send a valid hello, which can be recorded, and then nothing are taken for honest ones",
  answer: "the oldest of the silent newcomers or of the answered ones is closed, whichever are more",
  promise,
  run: run(true)
}

export const scenarios = [silent, answered]
