/** Servers that attack our client, and dials that are given up. */
import { randomBytes } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Checks } from "../checks.ts"
import { everywhere, type Scenario } from "../scenario.ts"
import {
  addressOf,
  attacker,
  patient,
  type StackName,
  sameAs,
  settled,
  startDialer,
  startTarget,
  sum,
  type Tags
} from "../world.ts"
import { expectedTags } from "./stream.ts"

const Servers = Schema.Struct({
  servers: Schema.Array(Schema.Struct({ kind: Schema.String, port: Schema.Int })),
  publicKey: Schema.String,
  /** The lengths of the server's messages. */
  bytes: Schema.Array(Schema.Int)
})

/** They end by the deadline of the dial, and by nothing else. */
const keepsWaiting = (kind: string): boolean => /^silent|^drip|^http: never/.test(kind)

/** What a dial may be told of a peer that does not do its handshake. */
const refusals = ["Rejected", "WrongNetwork", "PeerMisbehaved", "TimedOut"]

/**
 * What servers may do to a WebSocket before it carries anything: that a dial fails, with one of its errors, says
 * enough.
 */
const ofHttp = /^http:|^frames:/

const expected = (kind: string, stack: StackName): ReadonlyArray<string> => {
  if (kind === "honest") return ["end"]
  if (keepsWaiting(kind)) return ["TimedOut"]
  if (kind === "resets at once") return [...refusals, "Unreachable"]
  if (/^cut by/.test(kind)) return [...refusals, "Truncated", "Reset"]
  if (/^flip$|^faulty|^closes|^resets|^garbage$|^of another|^reflects/.test(kind)) return refusals
  return expectedTags(kind, stack)
}

const servers: Scenario = {
  name: "hostile servers",
  asset: "integrity, identity, availability",
  attacker: "network, authenticated peer",
  threat:
    "a server, or somebody in its place, attacks the client that dials it, with every attack on a handshake and a stream",
  answer: "both sides run the same code with the same deadline: a dial ends in a connection or in one typed error",
  promise:
    "each of 1,152 flips, 290 cuts and 44 other kinds ends in a typed error, over ws 11 more kinds that HTTP allows, and the client's process lives",
  over: everywhere,
  second: "wss~noise",
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const step = size === "full" ? 1 : 29
      const appKey = randomBytes(32).toString("base64")
      const child = yield* attacker("servers", { appKey, stack, step }, Schema.Struct({}))
      const { bytes, publicKey, servers } = yield* Effect.orDie(
        Effect.flatMap(child.says, Schema.decodeUnknownEffect(Servers))
      )
      const length = bytes.reduce((total, each) => total + each, 0)
      const times = (kind: string): number => {
        if (kind === "flip") return Math.ceil((length * 8) / step)
        if (/^cut by/.test(kind)) return Math.ceil((length + 1) / step)
        return kind === "honest" ? 20 : keepsWaiting(kind) ? 1 : 3
      }
      const orders = servers.map(({ kind, port }) => ({
        address: addressOf(stack, `127.0.0.1:${port}`, publicKey),
        times: times(kind),
        patient: size === "quick" && !keepsWaiting(kind)
      }))
      const env: Record<string, string> = size === "full" ? {} : { MULTISERVER_HANDSHAKE: "5 seconds" }
      const dialer = yield* startDialer(appKey, env)
      const honest = orders.filter((_, i) => servers[i]?.kind === "honest")
      yield* dialer.dial(honest)
      const before = yield* settled(dialer.counts, 15)
      const ends = yield* dialer.dial(orders)
      const all: Record<string, number> = {}
      servers.forEach(({ kind }, i) => {
        const tags = ends[i] ?? {}
        const { Defect: defects = 0, end = 0 } = tags
        const typed = ofHttp.test(kind)
          ? sum(tags) - defects - end
          : expected(kind, stack).reduce((count, tag) => count + (tags[tag] ?? 0), 0)
        checks.holds(typed === times(kind), `${kind}: ended ${JSON.stringify(tags)}`)
        for (const [tag, count] of Object.entries(tags)) all[tag] = (all[tag] ?? 0) + count
      })
      checks.holds(dialer.isAlive(), "the client died")
      yield* sameAs(before, dialer.counts, checks, "the client")
      return checks.verdict(`${sum(all)} dials to ${servers.length} kinds of servers: ${JSON.stringify(all)}`)
    })
}

const interrupted: Scenario = {
  name: "interrupted dials",
  asset: "availability",
  attacker: "none: an application",
  threat: "interrupted dials leave sockets and fibers behind, at the client or the server",
  answer: "each attempt has a scope of its own; an interruption destroys its socket at once",
  promise: "1,000 interrupted dials leave nothing behind",
  over: everywhere,
  second: "ws~shs",
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const env: Record<string, string> = size === "full" ? {} : patient
      const target = yield* startTarget(stack, { env })
      const dialer = yield* startDialer(target.address.appKey, env)
      const { host, port, publicKey } = target.address
      const address = addressOf(stack, `${host}:${port}`, publicKey)
      const dial = (times: number, interrupt: boolean) =>
        Effect.map(dialer.dial([{ address, times, interrupt }]), ([tags = {}]): Tags => tags)
      yield* dial(10, true)
      yield* dial(2, false)
      // Longer than a WebSocket stays for a Close.
      const before = [yield* settled(dialer.counts, 15), yield* settled(target.counts, 15)] as const
      const { interrupted = 0, over = 0 } = yield* dial(size === "full" ? 1000 : 100, true)
      checks.holds(interrupted > (interrupted + over) / 5, `only ${interrupted} were interrupted`)
      yield* sameAs(before[0], dialer.counts, checks, "the client")
      yield* sameAs(before[1], target.counts, checks, "the server")
      checks.holds((yield* dial(1, false)).end === 1, "it does not dial any more")
      return checks.verdict(`${interrupted} interrupted and ${over} that were faster: nothing left on either side`)
    })
}

export const scenarios = [servers, interrupted]
