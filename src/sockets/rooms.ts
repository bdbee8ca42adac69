/**
 * Allocates the memory that socket readers keep. It is not zeroed, since every byte is overwritten. Each allocation
 * applies the memory hacks that are on.
 */
import * as Effect from "effect/Effect"
import type { Room, Rooms } from "../Port.ts"
import { Garbage, litterFor } from "./garbage.ts"
import { HeapBlock, keepHeapFor } from "./heapBlock.ts"

const roomsWith = (made: (bytes: number) => void): Rooms => {
  const take = (bytes: number): Uint8Array => {
    made(bytes)
    return Buffer.allocUnsafeSlow(bytes)
  }
  // Memory that a codec allocates counts half, because node:crypto leaves garbage of its own.
  const room = (inPlace: boolean): Room => ({ inPlace, take, made: (bytes) => made(bytes >> 1) })
  return { owned: room(true), fresh: room(false) }
}

/** The rooms of a transport. Reads the references of the hacks when the transport's layer is built. */
export const rooms: Effect.Effect<Rooms> = Effect.gen(function* () {
  const garbage = yield* Garbage
  const heapBlock = yield* HeapBlock
  return roomsWith((bytes) => {
    if (heapBlock) keepHeapFor(bytes)
    if (garbage) litterFor(bytes)
  })
})
