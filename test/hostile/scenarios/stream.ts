/** Attacks on an open connection. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Checks } from "../checks.ts"
import { everywhere, type Scenario } from "../scenario.ts"
import { attacker, eventually, minus, partsOf, type StackName, siege, sum, type Tags } from "../world.ts"

/**
 * On Node 20, libuv tells of an end where a reset comes before the last bytes are read. Then nobody can know better.
 */
const reset = Number.parseInt(process.versions.node, 10) < 22 ? ["Reset", "Truncated"] : ["Reset"]

/**
 * How the end of a damaged stream may be called. A WebSocket that is reset has had no Close, and no more is known of
 * it.
 */
export const expectedTags = (kind: string, stack: StackName): ReadonlyArray<string> => {
  if (/^flip|^packets|^a packet|^what it was sent/.test(kind)) return ["Tampered"]
  if (/^a box too large|^the largest header/.test(kind)) return ["ProtocolViolation"]
  if (/^reset/.test(kind)) return partsOf(stack).transport === "net" ? reset : ["Reset", "Truncated"]
  return /silence$/.test(kind) ? ["Truncated", "Reset"] : ["Truncated"]
}

/** Of the kinds, those that somebody in the middle can do. */
const byTheNetwork = /^flip|^packets|^a packet|^cut between packets|^cut in/

const Done = Schema.Struct({ kind: Schema.NullOr(Schema.String), goodbyes: Schema.Int, open: Schema.Int })

const damage: Scenario = {
  name: "damage",
  asset: "integrity",
  attacker: "network, authenticated peer",
  threat: "the stream is changed, reordered, shortened or cut after the handshake",
  answer: "every packet is authenticated under a counter, and only a sealed goodbye is an end",
  promise:
    "each of 9 kinds of damage, and of 7 kinds by a hostile peer, ends in a typed error; none looks like a clean end",
  over: everywhere,
  second: "net~noise",
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const rounds = size === "full" ? 20 : 2
      const kinds: Array<string> = []
      const { tags } = yield* siege(stack, checks, { size }, (target) =>
        Effect.gen(function* () {
          const order = { target: target.address, rounds }
          const child = yield* attacker("damage", order, Schema.Struct({ connections: Schema.Int }))
          const bad = (): Tags => {
            const { end: _, ...others } = target.tags()
            return others
          }
          for (let before: Tags = {}; ; before = bad()) {
            const { goodbyes, kind, open } = yield* Effect.orDie(
              Effect.flatMap(child.says, Schema.decodeUnknownEffect(Done))
            )
            if (kind === null) break
            const ends = yield* eventually(
              () => minus(bad(), before),
              (seen) => sum(seen) >= rounds
            )
            const typed = expectedTags(kind, stack).reduce((count, tag) => count + (ends[tag] ?? 0), 0)
            checks.holds(typed === rounds && sum(ends) === rounds, `${kind}: ended ${JSON.stringify(ends)}`)
            checks.holds(goodbyes === 0, `${kind}: answered with a goodbye`)
            checks.holds(open === 0, `${kind}: not ended`)
            kinds.push(kind)
            yield* child.tell({})
          }
          return yield* child.result
        })
      )
      checks.holds((tags.end ?? 0) === 0, `${tags.end} look like a clean end`)
      const nine = kinds.filter((kind) => byTheNetwork.test(kind)).length
      checks.holds(nine === 9, `${nine} kinds of damage`)
      return checks.verdict(
        `${nine} kinds of damage and ${kinds.length - nine} of a peer's, ${rounds} times each: ${JSON.stringify(tags)}`
      )
    })
}

export const scenarios = [damage]
