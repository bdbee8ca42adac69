/**
 * Those who say a valid hello, are answered, and stop: nothing tells them from the honest but that they go no further.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Checks } from "../checks.ts"
import { beforeHandshakes, type Scenario } from "../scenario.ts"
import { attacker, type Honest, type Size, siege, type Target } from "../world.ts"

const Hellos = Schema.Struct({ connections: Schema.Int, answered: Schema.Int })

/** A second. Within the handshake's deadline they are more than may be pending. */
const rate = 150
const seconds = 20

/** In the quick size so many to each honest exchange. */
const newcomers = 6

const flood = (target: Target, honest: Honest, size: Size, many: boolean) =>
  Effect.gen(function* () {
    const full = size === "full"
    const order = { target: target.address, many, ...(full && { rate }) }
    const child = yield* attacker("hellos", order, Hellos)
    yield* child.says
    if (full) yield* Effect.sleep(seconds * 1000)
    else {
      for (let i = 0; i < 30; i++) {
        yield* child.tell({ count: newcomers })
        yield* honest.exchange
      }
    }
    yield* child.stop
    return yield* child.result
  })

const answered = (
  many: boolean,
  { name, promise, threat }: { readonly name: string; readonly promise: string; readonly threat: string }
): Scenario => ({
  name,
  asset: "availability",
  attacker: "app-key holder",
  threat,
  answer:
    "when the table is full, the oldest handshake is ended, whether it was answered or not; an honest newcomer is never the oldest",
  promise,
  over: beforeHandshakes,
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const full = size === "full"
      const env: Record<string, string> = {
        ...(!full && { MULTISERVER_PENDING_HANDSHAKES: "64" }),
        ...(many && { MULTISERVER_EXEMPT_LOOPBACK: "false" })
      }
      // In the quick size the table is small, and chances are larger.
      const options = { size, env, every: full ? 40 : 1, delay: 50, mayFail: full ? 1 : 25 }
      const { attacked, served, tags } = yield* siege(stack, checks, options, (target, honest) =>
        flood(target, honest, size, many)
      )
      checks.holds((tags["handshake Displaced"] ?? 0) > 0, "nobody made room")
      const { exchanges, failures, p99 } = served
      return checks.verdict(
        `${attacked.answered} answered; honest ${exchanges} of ${exchanges + failures.length}, p99 ${p99} ms`
      )
    })
})

const one = answered(false, {
  name: "hellos from one source",
  threat:
    "peers at the honest client's own source send a valid hello and nothing more, and fill the table of pending handshakes",
  promise:
    "with 150 of them a second, an honest client of the same source, 50 ms away, fails at most 1 time in 100 where that source is exempt"
})

const many = answered(true, {
  name: "hellos from many sources",
  threat: "peers at many sources send a valid hello and nothing more, and fill the table of pending handshakes",
  promise: "with 150 of them a second, an honest client 50 ms away fails at most 1 time in 100"
})

export const scenarios = [one, many]
