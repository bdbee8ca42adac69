/**
 * The port after a handshake that leaves no codec: first what the handshake has read beyond its last message, and then
 * the port below.
 */
import { isArrayNonEmpty } from "effect/Array"
import type { PortFailure } from "../ConnectionError.ts"
import type { Chunks, Port, PortListener, Rooms } from "../Port.ts"
import { plain } from "./rooms.ts"

export class RestPort implements Port {
  readonly below: Port
  private rest: ReadonlyArray<Uint8Array>

  constructor(below: Port, rest: ReadonlyArray<Uint8Array>) {
    this.below = below
    this.rest = rest
  }

  take(): Chunks | undefined {
    if (this.rest.length === 0) return this.below.take()
    const all = [...this.rest, ...(this.below.take() ?? [])]
    this.rest = []
    return isArrayNonEmpty(all) ? all : undefined
  }

  borrow(): Chunks | undefined {
    return this.rest.length === 0 ? this.below.borrow?.() : undefined
  }

  get ended(): boolean {
    return this.rest.length === 0 && this.below.ended
  }

  listen(listener: PortListener): void {
    this.below.listen(listener)
  }

  get halfClose(): boolean {
    return this.below.halfClose
  }

  get rooms(): Rooms {
    return this.below.rooms ?? plain
  }

  get failure(): PortFailure | undefined {
    return this.below.failure
  }

  get copies(): boolean {
    return this.below.copies === true
  }

  offer(bytes: Uint8Array): boolean {
    return this.below.offer(bytes)
  }

  get pending(): number {
    return this.below.pending
  }

  get full(): boolean {
    return this.below.full
  }

  get resets(): boolean {
    return this.below.resets === true
  }

  flush(): void {
    this.below.flush()
  }

  end(): void {
    this.below.end()
  }

  /** It holds nothing but the rest. */
  close(): void {
    this.rest = []
  }

  destroy(): void {
    this.rest = []
    this.below.destroy()
  }

  cork(): void {
    this.below.cork?.()
  }

  uncork(): void {
    this.below.uncork?.()
  }
}
