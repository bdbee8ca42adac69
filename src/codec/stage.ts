/**
 * Stages: buffers in which frames are laid out and sealed, or put together until they can be opened. They are reused,
 * because allocating them costs a fifth of the sealing.
 */

/** Room for 16 full box stream frames (16 x 4130), or one of the largest that a codec may have, and for an end. */
export const stageBytes = 66_128
/**
 * For small writes, which are the usual ones: a thousand connections that write a little in one tick take 4 MB and not
 * 66.
 */
const smallBytes = 4224

/** How many a process keeps at most: 4.2 MB of large ones, and 2.1 MB of small ones. */
const maxLarge = 64
const maxSmall = 512
const large: Array<Uint8Array> = []
const small: Array<Uint8Array> = []

/** A stage with room for `bytes`. One that is longer than `stageBytes` is not used again. */
export const takeStage = (bytes: number): Uint8Array => {
  if (bytes <= smallBytes) return small.pop() ?? new Uint8Array(smallBytes)
  return bytes <= stageBytes ? (large.pop() ?? new Uint8Array(stageBytes)) : new Uint8Array(bytes)
}

/** Gives a stage back. It must hold no plaintext any more: sealed over, or overwritten. */
export const giveStage = (stage: Uint8Array): void => {
  if (stage.length === smallBytes && small.length < maxSmall) small.push(stage)
  else if (stage.length === stageBytes && large.length < maxLarge) large.push(stage)
}
