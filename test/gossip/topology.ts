/** Who lists whom, and the bound that docs/lookup-gossip.md states. */

/** Within how many rounds, of the longest interval each, a record reaches all nodes that stay up. */
export const roundsFor = (nodes: number): number => Math.ceil(Math.log2(nodes))

/** Each of the nodes lists about `degree` others, and is listed by them. They all hang together. */
export const graph = (size: number, degree: number, random: () => number): ReadonlyArray<ReadonlyArray<number>> => {
  const lists = Array.from({ length: size }, () => new Set<number>())
  const link = (a: number, b: number) => {
    if (a === b) return
    lists[a]?.add(b)
    lists[b]?.add(a)
  }
  if (degree >= size - 1) return lists.map((_, who) => lists.flatMap((_, other) => (other === who ? [] : [other])))
  // Circles through all nodes, each in an order of its own.
  for (let i = 0; i < Math.ceil(degree / 2); i++) {
    const left = Array.from({ length: size }, (_, who) => who)
    const order: Array<number> = []
    while (left.length > 0) order.push(...left.splice(Math.floor(random() * left.length), 1))
    order.forEach((who, at) => link(who, order[(at + 1) % size] ?? 0))
  }
  return lists.map((list) => [...list])
}
