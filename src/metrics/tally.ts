/** Counts events in Effect's metrics. */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type * as Events from "../Events.ts"
import * as Instruments from "./instruments.ts"
import { errorType, Stacks, tagOf } from "./labels.ts"

type Labels = Readonly<Record<string, string>>

type Role = Events.Connected["role"]

/** What a status shows of the connections that were accepted. Of a relay, those are half of its connections. */
export interface Totals {
  open: number
  /** Connections that got through their handshakes. */
  accepted: number
  /** Newcomers that did not, and those that were turned away before. */
  refused: number
  bytesRead: number
  bytesWritten: number
}

/** An open connection, and how much of it has been counted so far. */
interface Open {
  readonly role: Role
  readonly stack: string
  readonly carried: Events.Carried | undefined
  bytesRead: number
  bytesWritten: number
}

/**
 * The numbers of a program, in the metrics of one context. It knows the open connections. The bytes of one are counted
 * when `look` sees them, and the rest when it closes.
 */
export class Tally {
  readonly totals: Totals = { open: 0, accepted: 0, refused: 0, bytesRead: 0, bytesWritten: 0 }
  private readonly context: Context.Context<never>
  private readonly stacks = new Stacks()
  private readonly series = new Map<string, Metric.Metric<number, unknown>>()
  /** By the object that comes with a connection's events; by its number where it is a worker's and there is none. */
  private readonly open = new Map<unknown, Open>()

  constructor(context: Context.Context<never>) {
    this.context = context
  }

  private of(metric: Metric.Metric<number, unknown>, labels: Labels): Metric.Metric<number, unknown> {
    const key = [metric.id, ...Object.entries(labels)].join()
    const known = this.series.get(key)
    if (known !== undefined) return known
    const made = Metric.withAttributes(metric, labels)
    this.series.set(key, made)
    return made
  }

  private add(metric: Metric.Metric<number, unknown>, labels: Labels, value = 1): void {
    this.of(metric, labels).updateUnsafe(value, this.context)
  }

  private labels(role: Role, stack: string): Labels {
    return { "multiserver.role": role, ...this.stacks.labels(stack) }
  }

  /** Counts an event. `carried` is what a sink gets beside it. */
  event(event: Events.Event, carried?: Events.Carried): void {
    if (event._tag === "Connected") this.opened(event, carried)
    if (event._tag === "Closed") this.closed(event, carried)
    this.count(event)
  }

  /** Counts what open connections have carried since they were looked at last. */
  look(): void {
    for (const open of this.open.values()) {
      const account = open.carried?.account()
      if (account !== undefined) this.see(open, account.bytesRead, account.bytesWritten)
    }
  }

  private opened({ id, role, stack }: Events.Connected, carried: Events.Carried | undefined): void {
    const open = { role, stack, carried, bytesRead: 0, bytesWritten: 0 }
    this.open.set(carried ?? id, open)
    this.active(open, 1)
  }

  private closed(event: Events.Closed, carried: Events.Carried | undefined): void {
    const key = carried ?? event.id
    const open = this.open.get(key)
    // A dial can be interrupted before it is told that it has succeeded.
    if (open === undefined) {
      this.carry(event, event.bytesRead, event.bytesWritten)
      return
    }
    this.open.delete(key)
    this.see(open, event.bytesRead, event.bytesWritten)
    this.active(open, -1)
  }

  private see(open: Open, bytesRead: number, bytesWritten: number): void {
    this.carry(open, bytesRead - open.bytesRead, bytesWritten - open.bytesWritten)
    open.bytesRead = Math.max(open.bytesRead, bytesRead)
    open.bytesWritten = Math.max(open.bytesWritten, bytesWritten)
  }

  private active({ role, stack }: Open, by: 1 | -1): void {
    this.of(Instruments.active, this.labels(role, stack)).modifyUnsafe(by, this.context)
    if (role === "listen") this.totals.open += by
  }

  private carry({ role, stack }: Pick<Open, "role" | "stack">, bytesRead: number, bytesWritten: number): void {
    const labels = this.labels(role, stack)
    if (bytesRead > 0) this.add(Instruments.carried, { ...labels, "network.io.direction": "receive" }, bytesRead)
    if (bytesWritten > 0) this.add(Instruments.carried, { ...labels, "network.io.direction": "transmit" }, bytesWritten)
    if (role !== "listen") return
    this.totals.bytesRead += Math.max(0, bytesRead)
    this.totals.bytesWritten += Math.max(0, bytesWritten)
  }

  private handshake(role: Role, stack: string, millis: number, tag?: string): void {
    const labels = { ...this.labels(role, stack), ...(tag !== undefined && errorType(tag)) }
    this.add(Instruments.handshakes, labels, Math.max(0, millis) / 1000)
  }

  /** An address that was tried and failed. One that was not even tried has no stack and no times. */
  private failed({ connectMillis, millis, reason, stack }: Events.Tried): void {
    if (stack === undefined || millis === undefined) return
    const tag = tagOf(reason)
    this.add(Instruments.attempts, { ...this.stacks.labels(stack), ...errorType(tag) }, millis / 1000)
    // What fails once its transport has connected fails in its handshakes.
    if (connectMillis !== undefined) this.handshake("dial", stack, millis - connectMillis, tag)
  }

  /** Counts all of an event that does not depend on which connections are open. */
  private count(event: Events.Event): void {
    switch (event._tag) {
      case "Connected":
        this.connected(event)
        break
      case "Closed": {
        const isOrderly = event.tag === "end" || event.tag === "closed"
        const labels = { ...this.labels(event.role, event.stack), ...(!isOrderly && errorType(event.tag)) }
        this.add(Instruments.connections, labels, event.millis / 1000)
        break
      }
      case "HandshakeFailed":
        this.totals.refused++
        this.handshake(event.role, event.stack, event.millis, event.tag)
        break
      case "Refused": {
        this.totals.refused += event.count
        const labels = { ...this.stacks.labels(event.stack), ...errorType(event.tag) }
        this.add(Instruments.refused, labels, event.count)
        break
      }
      case "DialFailed":
        this.add(Instruments.dials, errorType(tagOf(event.error.reason)))
        for (const tried of event.failed ?? []) this.failed(tried)
        break
      case "Fallback": {
        const labels = { ...this.stacks.labels(event.from), ...errorType(tagOf(event.failed.reason)) }
        this.add(Instruments.fallbacks, labels)
        break
      }
      case "SourceFailed":
      case "RecordConflict":
        this.add(Instruments.lookups, errorType(event._tag))
        break
      case "RecordRefused":
      case "GossipDropped":
        this.add(Instruments.lookups, errorType(event.tag))
    }
  }

  private connected({ connectMillis = 0, failed, millis, role, stack }: Events.Connected): void {
    this.handshake(role, stack, millis - connectMillis)
    if (role === "listen") {
      this.totals.accepted++
      return
    }
    this.add(Instruments.dials, {})
    this.add(Instruments.attempts, this.stacks.labels(stack), millis / 1000)
    for (const tried of failed) this.failed(tried)
  }
}
