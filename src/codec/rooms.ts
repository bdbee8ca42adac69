/** Where a codec's plaintext goes: over its ciphertext, or into other memory. */
import type { Room, Rooms } from "../Port.ts"
import { giveStage, takeStage } from "./stage.ts"

const take = (bytes: number): Uint8Array => new Uint8Array(bytes)

/** Memory of the runtime, for ports without rooms of their own. */
export const plain: Rooms = { owned: { inPlace: true, take }, fresh: { inPlace: false, take } }

/** Memory that is lent until the current call is over. A microtask then overwrites it and gives it back. */
const lendable = (bytes: number): Uint8Array => {
  const stage = takeStage(bytes)
  queueMicrotask(() => {
    stage.fill(0, 0, bytes)
    giveStage(stage)
  })
  return stage
}

/** The input is lent, and so is the plaintext. */
export const lent: Room = { inPlace: true, take: lendable }
