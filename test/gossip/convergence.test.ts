/**
 * How fast gossip is, by the state machine alone: many runs, with nodes whose intervals differ, of which some are down.
 * docs/lookup-gossip.md states the bound.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import type { AddressRecord } from "../../src/AddressRecord.ts"
import type * as Exchange from "../../src/gossip/exchange.ts"
import { choose } from "../../src/gossip/peers.ts"
import { exchange, node, now, numbers, recordOf } from "./support.ts"
import { graph, roundsFor } from "./topology.ts"

/** One record is published. After how many of the longest intervals each node that is up has it. */
const spread = (size: number, degree: number, down: number, seed: number): number => {
  const random = numbers(seed)
  const record = recordOf(1, 1)
  const decode = (): Result.Result<AddressRecord> => Result.succeed(record)
  const lists = graph(size, degree, random)
  const nodes: ReadonlyArray<Exchange.Node> = lists.map(() => node([], { decode, random }))
  const isUp = nodes.map((_, i) => i === 0 || random() >= down)
  const next = nodes.map(() => random())
  nodes[0]?.known.add(record, now)
  let left = isUp.filter(Boolean).length - 1
  next[0] = 0
  for (;;) {
    const who = next.reduce((first, at, i) => (at < (next[first] ?? 0) ? i : first), 0)
    const at = next[who] ?? 0
    next[who] = at + 0.75 + random() / 2
    const own = nodes[who]
    if (own === undefined || !isUp[who]) continue
    for (const peer of choose(lists[who] ?? [], 3, random)) {
      const other = nodes[peer]
      if (other === undefined || !isUp[peer]) continue
      const before = own.known.entries().size + other.known.entries().size
      if (before === 1) {
        exchange(own, other, now, (messages) => messages)
        left--
        if (left === 0) return Math.ceil(at / 1.25)
      }
    }
    if (at > 100) return 100
  }
}

describe("a record reaches every node within ceil(log2 n) rounds", () => {
  it.each([
    [3, 2, 0, 50],
    [10, 9, 0, 100],
    [10, 9, 0.2, 100],
    [100, 99, 0, 50],
    [100, 12, 0, 100],
    [100, 12, 0.2, 150],
    [1000, 20, 0.2, 5]
  ])("%s nodes, each of which lists %s, of which a part of %s is down: %s runs", (size, degree, down, runs) => {
    const counts = Array.from({ length: runs }, (_, seed) => spread(size, degree, down, seed + 1))
    assert.isAtMost(Math.max(...counts), roundsFor(size), String(counts))
  })
})
