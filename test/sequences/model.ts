/**
 * What ought to be so: who is there, and what each of them takes. It knows nothing of sockets. The commands change it
 * as the library promises to behave, and after each of them the world has to agree.
 */

export const transports = ["memory", "port", "net", "unix", "ws", "wss"] as const
export type Transport = (typeof transports)[number]

/**
 * Those that go over TCP: their newcomers have a source, which is an IP of loopback here, and a local port that can be
 * used again.
 */
export const overTcp = (transport: Transport): boolean => !inProcess(transport) && transport !== "unix"
/** Those that need nothing of the kernel. */
export const inProcess = (transport: Transport): transport is "memory" | "port" =>
  transport === "memory" || transport === "port"
/** Those whose newcomers have to ask for a WebSocket first. */
export const overHttp = (transport: Transport): boolean => transport === "ws" || transport === "wss"

/** So few that a sequence gets to each of them. */
export const limits = { connections: 13, pendingHandshakes: 4, sourceConnections: 6 } as const

/** The source that policy lets in nowhere. */
export const denied = "127.0.0.9"
/** Where dials of the Multiserver itself come from. */
export const own = "127.0.0.1"
export const sources = [own, "127.0.0.2", "127.0.0.3", denied] as const

/** How far an outsider has got, who has a place and is no connection yet. */
export type Stage =
  /** It has said nothing. */
  | "silent"
  /** It has sent a part of its first message, and waits. */
  | "partial"
  /** It has sent a half of its request for a WebSocket. */
  | "asking"
  /** It has a WebSocket. */
  | "upgraded"
  /** It has said hello and was answered. */
  | "answered"
  /** It has asked for a page, which is being made. Its handshake is pending no more. */
  | "page"

export interface Visitor {
  readonly id: number
  readonly transport: Transport
  readonly source: string | undefined
  readonly stage: Stage
}

/** What there is to be counted in the process. */
export interface Counts {
  readonly places: number
  readonly fds: number
  readonly fibers: number
  readonly timers: number
}

type Cost = Omit<Counts, "places">
const cost = (fds: number, fibers: number, timers = 0): Cost => ({ fds, fibers, timers })

/** What a listener keeps, without anybody who comes. */
const listenerCost: Readonly<Record<Transport, Cost>> = {
  memory: cost(0, 1),
  port: cost(0, 1),
  net: cost(1, 1),
  unix: cost(1, 1),
  // Node looks for requests that are late.
  ws: cost(1, 1, 1),
  wss: cost(1, 1, 1)
}

/** A dialed connection and the accepted one at its other end, with a reader and a handler. */
const sessionCost: Readonly<Record<Transport, Cost>> = {
  memory: cost(0, 4),
  port: cost(0, 4),
  net: cost(2, 4),
  unix: cost(2, 4),
  ws: cost(2, 4),
  wss: cost(2, 4)
}

/** Whether there is a connection, with a fiber: over HTTP only after the upgrade. */
const runs = ({ stage, transport }: Visitor): boolean =>
  !overHttp(transport) || stage === "upgraded" || stage === "answered" || stage === "partial"

/** An outsider, and what the listener keeps for it. Before there is a connection, TLS has a deadline. */
const visitorCost = (visitor: Visitor): Cost => {
  const { stage, transport } = visitor
  const fds = inProcess(transport) ? 0 : 2
  return cost(fds, runs(visitor) ? 1 : 0, transport === "wss" && stage === "silent" ? 1 : 0)
}

/** A dial that nobody answers: it, its deadline and the timer of that; at the other end is a server of the test's. */
const waitingDialCost = cost(2, 4)

/** What a newcomer gets. */
export type Welcome =
  | { readonly _tag: "in"; readonly displaces: number }
  | { readonly _tag: "refused"; readonly tag: string }

/** The `nth` of those that there are, counted over and over. */
export const pick = <A>(among: Iterable<A>, nth: number): A | undefined => {
  const all = [...among]
  return all[nth % Math.max(1, all.length)]
}

export class Model {
  readonly listening = new Set<Transport>(transports)
  /** Who has come from outside, in the order in which they came. */
  readonly visitors = new Map<number, Visitor>()
  /** Connections that were dialed, with the ends that were accepted. */
  readonly sessions = new Map<number, Transport>()
  /** Dials whose peer does not answer. */
  readonly waitingDials = new Map<number, Transport>()
  private ids = 0

  nextId(): number {
    return this.ids++
  }

  get places(): number {
    return this.visitors.size + 2 * this.sessions.size + this.waitingDials.size
  }

  get pending(): ReadonlyArray<Visitor> {
    return [...this.visitors.values()].filter(({ stage }) => stage !== "page")
  }

  /** Who has asked for a page, which never comes: it stays, and is the first to make room. */
  private get pages(): ReadonlyArray<Visitor> {
    return [...this.visitors.values()].filter(({ stage }) => stage === "page")
  }

  private openFrom(source: string): number {
    const visitors = [...this.visitors.values()].filter((visitor) => visitor.source === source)
    const dialed = [...this.sessions.values()].filter((transport) => overTcp(transport) && source === own)
    return visitors.length + dialed.length
  }

  /** What becomes of a newcomer. `besides` are the places that are taken for it already. */
  welcome(source: string | undefined, besides = 0): Welcome {
    if (source === denied) return { _tag: "refused", tag: "DeniedByPolicy" }
    const { pages, pending } = this
    const isOwn = (visitor: Visitor) => visitor.source === source
    let [pagesLeft, pendingLeft, displaces] = [pages.length, pending.length, 0]
    // First one of its own source makes room, where that is full: one that asked for a page before any that is pending.
    if (source !== undefined && this.openFrom(source) >= limits.sourceConnections) {
      if (pages.some(isOwn)) pagesLeft--
      else if (pending.some(isOwn)) pendingLeft--
      else return { _tag: "refused", tag: "TooManyFromSource" }
      displaces++
    }
    // A dial may have gone over what there is in all: then another one does.
    const isFull = () => this.places + besides - displaces >= limits.connections
    if (isFull() && pages.length + pending.length === 0) return { _tag: "refused", tag: "TooManyConnections" }
    if (isFull() && pagesLeft > 0) displaces++
    if ((isFull() || pendingLeft >= limits.pendingHandshakes) && pendingLeft > 0) displaces++
    return { _tag: "in", displaces }
  }

  /** How many connections can be dialed from a source before anybody is refused or has to make room. */
  room(source: string | undefined): number {
    return Math.min(
      Math.floor((limits.connections - this.places) / 2),
      limits.pendingHandshakes - this.pending.length,
      source === undefined ? Number.POSITIVE_INFINITY : limits.sourceConnections - this.openFrom(source)
    )
  }

  /** The transports whose WebSockets ping: one timer serves all of one transport. */
  private get pinging(): ReadonlyArray<Transport> {
    const running = [...this.visitors.values()].filter(runs).map(({ transport }) => transport)
    return [...new Set([...this.sessions.values(), ...running])].filter(overHttp)
  }

  /** What the process has to count, over what it counted when nobody was there. */
  get counts(): Counts {
    const costs = [
      ...[...this.listening].map((transport) => listenerCost[transport]),
      ...[...this.visitors.values()].map(visitorCost),
      ...[...this.sessions.values()].map((transport) => sessionCost[transport]),
      ...[...this.waitingDials.values()].map(() => waitingDialCost)
    ]
    const sum = (of: (each: Cost) => number) => costs.reduce((total, each) => total + of(each), 0)
    return {
      places: this.places,
      fds: sum(({ fds }) => fds),
      fibers: sum(({ fibers }) => fibers),
      timers: sum(({ timers }) => timers) + this.pinging.length
    }
  }
}
