/** Stages: buffers in which frames are laid out and sealed, reused because allocating them costs a fifth of the sealing. */

/** Room for 16 full box stream frames (16 x 4130), or one of the largest that a codec may have, and for an end. */
export const stageBytes = 66_128
/** For what is mostly written: a thousand connections that write a little in one tick take 4 MB and not 66. */
const smallBytes = 4224

/** What a process keeps at most: 4.2 MB of large ones, and 2.1 MB of small ones. */
const maxLarge = 64
const maxSmall = 512
const large: Array<Uint8Array> = []
const small: Array<Uint8Array> = []

/** A stage with room for `bytes`; `stageBytes` is the most. */
export const takeStage = (bytes: number): Uint8Array =>
  bytes <= smallBytes ? (small.pop() ?? new Uint8Array(smallBytes)) : (large.pop() ?? new Uint8Array(stageBytes))

/** Only a stage whose every plaintext byte was sealed over may come back. */
export const giveStage = (stage: Uint8Array): void => {
  if (stage.length === smallBytes) {
    if (small.length < maxSmall) small.push(stage)
  } else if (large.length < maxLarge) {
    large.push(stage)
  }
}
