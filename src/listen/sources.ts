/** Where newcomers come from: how many connections each group of sources has, and how fast it may send more. */
import type { LimitValues } from "../Limits.ts"
import { groupNames, widths } from "../sourceGroups.ts"

/** What the admission asks of a newcomer whose handshakes are pending. */
export interface Newcomer {
  /** Whether it has sent anything. If so, it has cost this side more than a place. */
  readonly hasSpoken: () => boolean
  /** Ends it, now. */
  readonly end: (why: "Displaced" | "TimedOut") => void
}

/** The place of one newcomer, from when it was admitted until it is gone. */
export class Place {
  /** When it came, by the admission's `now`. */
  readonly since: number
  readonly newcomer: Newcomer
  groups: ReadonlyArray<Group>
  /** Whether its first message was valid. Nothing is answered before that. */
  answered = false
  gone = false

  constructor(groups: ReadonlyArray<Group>, newcomer: Newcomer, since: number) {
    this.groups = groups
    this.newcomer = newcomer
    this.since = since
  }
}

/** One source, or a network of them. */
export class Group {
  readonly name: string
  readonly width: number
  /** How many connections it has. */
  open = 0
  /** How many newcomers it may still send, as of `since`. Negative when many have come at once. */
  tokens: number
  since: number

  constructor(name: string, width: number, tokens: number, since: number) {
    this.name = name
    this.width = width
    this.tokens = tokens
    this.since = since
  }
}

/**
 * How many groups without a connection are remembered, in about 4 MiB. Beyond that, even groups without all of their
 * tokens are forgotten.
 */
const maxResting = 16_384

/** All sources of one Multiserver. */
export class Sources {
  private readonly limits: LimitValues
  private readonly byWidth = widths.map((width) => ({ width, byName: new Map<string, Group>() }))
  /** The groups without a connection. The one that was seen least recently comes first. */
  private readonly resting = new Set<Group>()

  constructor(limits: LimitValues) {
    this.limits = limits
  }

  /** How many groups are in memory. */
  get remembered(): number {
    return this.byWidth.reduce((sum, { byName }) => sum + byName.size, 0)
  }

  /** The groups of a source, the narrowest first. */
  get(source: string | undefined, now: number): ReadonlyArray<Group> {
    this.forget(now)
    const names = groupNames(source, this.limits.exemptLoopback)
    return this.byWidth.flatMap(({ byName, width }, i) => {
      const name = names[i]
      return name === undefined ? [] : [this.group(byName, name, width, now)]
    })
  }

  private group(byName: Map<string, Group>, name: string, width: number, now: number): Group {
    const known = byName.get(name)
    if (known !== undefined) {
      if (this.resting.delete(known)) this.resting.add(known)
      return known
    }
    const group = new Group(name, width, this.limits.sourceRate * width, now)
    byName.set(name, group)
    this.resting.add(group)
    return group
  }

  /** Whether it has as many connections as it may have. */
  isFull({ open, width }: Group): boolean {
    return open >= this.limits.sourceConnections * width
  }

  /** Whether its newcomers have spoken more often than its rate allows. */
  isTooFast(group: Group, now: number): boolean {
    this.refill(group, now)
    return group.tokens < 1
  }

  /** A newcomer of these groups has spoken: takes a token from each. */
  spend(groups: ReadonlyArray<Group>, now: number): void {
    for (const group of groups) {
      this.refill(group, now)
      group.tokens--
    }
  }

  private refill(group: Group, now: number): void {
    const rate = this.limits.sourceRate * group.width
    group.tokens = Math.min(rate, group.tokens + ((now - group.since) * rate) / 1000)
    group.since = now
  }

  enter(groups: ReadonlyArray<Group>): void {
    for (const group of groups) {
      if (group.open++ === 0) this.resting.delete(group)
    }
  }

  exit(groups: ReadonlyArray<Group>): void {
    for (const group of groups) {
      if (--group.open === 0) this.resting.add(group)
    }
  }

  /**
   * Forgets groups that have all of their tokens again, which makes them as good as new. Looks at no more than four for
   * each newcomer, and a newcomer adds at most three.
   */
  private forget(now: number): void {
    let most = 4
    for (const group of this.resting) {
      if (most-- === 0) return
      const { name, width } = group
      this.refill(group, now)
      if (group.tokens < this.limits.sourceRate * width && this.resting.size <= maxResting) return
      this.resting.delete(group)
      this.byWidth.find((each) => each.width === width)?.byName.delete(name)
    }
  }
}
