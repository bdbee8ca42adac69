/**
 * Handshakes, step by step, against everything that a peer or somebody between can say: no step throws, and none goes
 * on to a session unless it has heard exactly what the honest peer would have said.
 */
import * as Redacted from "effect/Redacted"
import type { KeyPairBytes, NoisePrimitives } from "../../src/crypto/Primitives.ts"
import { ConvertedKeys } from "../../src/handshake/convertedKeys.ts"
import { fromSeed, type KeyPair, PublicKey } from "../../src/Identity.ts"
import { primitives as native } from "../support/primitives.ts"
import { check, type Fuzzer, type Notes } from "./fuzzer.ts"
import { cheap, cheapPair, lying } from "./primitives.ts"
import { type Protocol, protocols, type Side, type Turn } from "./protocols.ts"
import { join, type Random } from "./random.ts"

type Role = "client" | "server"
const roles = ["client", "server"] as const
const opposite = { client: "server", server: "client" } as const

/** A cast of keys for some primitives, made once: with the native ones each costs more than a step. */
interface Cast {
  readonly primitives: NoisePrimitives["Service"]
  readonly identities: ReadonlyArray<KeyPair>
  readonly ephemerals: ReadonlyArray<KeyPairBytes>
}

const seeds = Array.from({ length: 6 }, (_, i) =>
  Uint8Array.from({ length: 32 }, (_, j) => (i * 71 + j * 29 + 5) & 255)
)

const cast = (primitives: NoisePrimitives["Service"], ephemeral: (seed: Uint8Array) => KeyPairBytes): Cast => ({
  primitives,
  identities: seeds.map((seed) => fromSeed(primitives, Redacted.make(seed))),
  ephemerals: seeds.map((seed) => ephemeral(seed.map((byte) => byte ^ 0xa5)))
})

const cheapCast = cast(cheap, cheapPair)
/** The X25519 form of an Ed25519 pair, because `Primitives` makes no pair from a seed. */
const nativeCast = cast(native, (seed) => {
  const pair = native.ed25519KeyPair(seed)
  const publicKey = native.x25519FromPublicKey(pair.publicKey)
  if (publicKey === undefined) throw new Error("libsodium does not convert its own key")
  return { publicKey, secretKey: native.x25519FromSecretKey(pair.secretKey) }
})

/** Points of small order, numbers that are no point, and the edges of the field. */
const points = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "0200000000000000000000000000000000000000000000000000000000000000"
].map((hex) => new Uint8Array(Buffer.from(hex, "hex")))

// -----------------------------------------------------------------------------
// conversations
// -----------------------------------------------------------------------------

/** Who talks: what each brings, and whom the client means to reach. */
interface Table {
  readonly client: Side
  readonly server: Side
  readonly dialed: PublicKey
}

/** How one side of a conversation came out. */
interface Came {
  readonly turn: Turn
  /** The messages that it heard, whole. */
  readonly heard: ReadonlyArray<Uint8Array>
  readonly said: ReadonlyArray<Uint8Array>
}

/** What becomes of the `index`th message to a role. */
type Middle = (to: Role, index: number, message: Uint8Array, said: ReadonlyArray<Uint8Array>) => Uint8Array

const asItIs: Middle = (_to, _index, message) => message

class End {
  turn: Turn
  readonly heard: Array<Uint8Array> = []
  readonly said: Array<Uint8Array> = []
  private inbox: Uint8Array = new Uint8Array(0)

  constructor(turn: Turn) {
    this.turn = turn
  }

  hears(bytes: Uint8Array): void {
    this.inbox = join([this.inbox, bytes])
  }

  /** Goes as far as it can. Answers whether it went at all. */
  advance(say: (message: Uint8Array) => void): boolean {
    let moved = false
    for (;;) {
      const { turn } = this
      if (turn._tag === "say") {
        this.said.push(turn.message.slice())
        say(turn.message)
        this.turn = turn.next
      } else if (turn._tag === "hear" && this.inbox.length >= turn.length) {
        const message = this.inbox.slice(0, turn.length)
        this.inbox = this.inbox.slice(turn.length)
        this.heard.push(message.slice())
        this.turn = turn.next(message)
      } else {
        return moved
      }
      moved = true
    }
  }
}

/** Ephemeral keys are wiped by who uses them: each conversation has its own. */
const fresh = (side: Side): Side => ({
  ...side,
  ephemeral: { publicKey: side.ephemeral.publicKey.slice(), secretKey: side.ephemeral.secretKey.slice() }
})

const converse = (protocol: Protocol, table: Table, middle: Middle): Record<Role, Came> => {
  const ends = {
    client: new End(protocol.client(fresh(table.client), table.dialed)),
    server: new End(protocol.server(fresh(table.server)))
  }
  const passes = (from: Role) => (message: Uint8Array) => {
    const to = opposite[from]
    ends[to].hears(middle(to, ends[from].said.length - 1, message, ends[to].said))
  }
  while (roles.map((role) => ends[role].advance(passes(role))).includes(true)) {}
  return ends
}

// -----------------------------------------------------------------------------
// attacks
// -----------------------------------------------------------------------------

interface Attack {
  readonly table: Table
  readonly middle: Middle
}

type Attacks = Record<string, (random: Random, table: Table, victim: Role, protocol: Protocol, cast: Cast) => Attack>

const changing =
  (victim: Role, which: number, change: (message: Uint8Array, said: ReadonlyArray<Uint8Array>) => Uint8Array): Middle =>
  (to, index, message, said) =>
    to === victim && index === which ? change(message, said) : message

const resized = (bytes: Uint8Array, length: number): Uint8Array => {
  const out = new Uint8Array(length)
  out.set(bytes.subarray(0, length))
  return out
}

/** The other side is an insider, and brings something else. */
const bringing = (table: Table, victim: Role, change: (side: Side) => Partial<Side>): Attack => {
  const insider = opposite[victim]
  return { table: { ...table, [insider]: { ...table[insider], ...change(table[insider]) } }, middle: asItIs }
}

const attacks: Attacks = {
  honest: (_random, table) => ({ table, middle: asItIs }),
  bytes: (random, table, victim) => ({
    table,
    middle: changing(victim, random.below(2), (message) => random.mutate(message))
  }),
  noise: (random, table, victim) => ({
    table,
    middle: changing(victim, random.below(2), (message) => random.bytes(message.length))
  }),
  replay: (random, table, victim, protocol, { ephemerals }) => {
    const other = { ...table, client: { ...table.client, ephemeral: random.pick(ephemerals) } }
    const recorded = converse(
      protocol,
      { ...other, server: { ...table.server, ephemeral: random.pick(ephemerals) } },
      asItIs
    )
    const which = random.below(2)
    return { table, middle: changing(victim, which, (message) => recorded[victim].heard[which] ?? message) }
  },
  reflection: (random, table, victim) => ({
    table,
    middle: changing(victim, random.below(2), (message, said) => resized(said.at(-1) ?? message, message.length))
  }),
  lie: (random, table, victim) =>
    bringing(table, victim, ({ primitives }) => {
      const liar = lying(primitives, random, random.below(20))
      return { primitives: liar, keys: new ConvertedKeys(liar) }
    }),
  point: (random, table, victim) =>
    bringing(table, victim, ({ ephemeral }) => ({ ephemeral: { ...ephemeral, publicKey: random.pick(points) } })),
  claim: (random, table, victim, _protocol, { identities }) =>
    bringing(table, victim, ({ identity }) => {
      const claims = [
        random.pick(points),
        random.bytes(32),
        random.pick(identities).publicKey,
        table[victim].identity.publicKey
      ]
      return { identity: { ...identity, publicKey: PublicKey.make(random.pick(claims)) } }
    }),
  network: (random, table, victim) => bringing(table, victim, ({ appKey }) => ({ appKey: random.flip(appKey) })),
  stranger: (random, table, _victim, _protocol, { identities }) => ({
    table: {
      ...table,
      dialed: random.oneIn(3) ? PublicKey.make(random.pick(points)) : random.pick(identities).publicKey
    },
    middle: asItIs
  })
}

// -----------------------------------------------------------------------------
// the fuzzer
// -----------------------------------------------------------------------------

const appKey = seeds.map((seed) => seed.map((byte) => byte ^ 0x3c))[0] as Uint8Array

const same = (a: ReadonlyArray<Uint8Array>, b: ReadonlyArray<Uint8Array>): boolean =>
  a.length === b.length && a.every((each, i) => Buffer.compare(each, b[i] as Uint8Array) === 0)

const session = (turn: Turn): ReadonlyArray<Uint8Array> | undefined =>
  turn._tag === "done"
    ? [turn.peer, turn.encrypt.key, turn.encrypt.nonce, turn.decrypt.key, turn.decrypt.nonce]
    : undefined

/** Both sides of an honest conversation have come to the same. */
const agree = (table: Table, came: Record<Role, Came>): void => {
  const client = session(came.client.turn) ?? []
  const server = session(came.server.turn) ?? []
  const { identity } = table.client
  check(
    same(client, [table.server.identity.publicKey, ...server.slice(3), ...server.slice(1, 3)]),
    () => "the client's session"
  )
  check(same(server.slice(0, 1), [identity.publicKey]), () => "the server's session is with another key")
}

const run = (protocol: Protocol, random: Random, { input, saw }: Notes): number => {
  const keys = random.oneIn(40) ? nativeCast : cheapCast
  const side = (): Side => ({
    primitives: keys.primitives,
    appKey,
    identity: random.pick(keys.identities),
    ephemeral: random.pick(keys.ephemerals),
    keys: new ConvertedKeys(keys.primitives)
  })
  const server = side()
  const table: Table = { client: side(), server, dialed: server.identity.publicKey }
  const victim = random.pick(roles)
  const name = random.pick(Object.keys(attacks))
  const attack = attacks[name]?.(random, table, victim, protocol, keys)
  input(
    () => `${name} against the ${victim} of ${protocol.name}, ${keys === nativeCast ? "native" : "cheap"} primitives`
  )
  if (attack === undefined) return 0

  // Peers that have met remember each other's keys.
  if (random.oneIn(4)) converse(protocol, table, asItIs)
  const came = converse(protocol, attack.table, attack.middle)
  const { heard, turn } = came[victim]
  saw(`${protocol.name} ${name}: ${turn._tag === "refuse" ? `refuse (${turn.why})` : turn._tag}`)
  if (name === "honest") agree(table, came)
  if (turn._tag === "done") {
    const honest = converse(protocol, table, asItIs)
    check(same(heard, honest[victim].heard), () => "a session with who did not say what the honest peer says")
    check(same(session(turn) ?? [], session(honest[victim].turn) ?? []), () => "another session than the honest one")
  }
  return Math.max(1, heard.length)
}

export const handshake: Fuzzer = {
  name: "handshake",
  reaches: protocols.flatMap(({ name }) => [`${name} honest: done`, `${name} lie: done`, `${name} bytes: hear`]),
  run: (random, notes) => run(random.pick(protocols), random, notes)
}
