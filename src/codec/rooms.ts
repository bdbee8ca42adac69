/** Where a codec's plaintext goes: where its ciphertext lies, or to memory of its own. */
import type { Room, Rooms } from "../Port.ts"
import { giveStage, takeStage } from "./stage.ts"

const take = (bytes: number): Uint8Array => new Uint8Array(bytes)

/** Memory of the runtime, for ports that bring no rooms of their own. */
export const plain: Rooms = { owned: { inPlace: true, take }, fresh: { inPlace: false, take } }

/** Memory that is used again when the call in which it is lent is over. */
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
