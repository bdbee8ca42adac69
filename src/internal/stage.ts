/** Stages: buffers in which frames are laid out and sealed, reused because allocating them costs a fifth of the sealing. */

/** Room for 16 full box stream frames (16 x 4130), or one of the largest that a codec may have. */
export const stageBytes = 66_080

/** 64 stages, 4.2 MB, is what a process keeps at most. */
const maxPooled = 64
const pool: Array<Uint8Array> = []

export const takeStage = (): Uint8Array => pool.pop() ?? new Uint8Array(stageBytes)

/** Only a stage whose every plaintext byte was sealed over may come back. */
export const giveStage = (stage: Uint8Array): void => {
  if (pool.length < maxPooled) pool.push(stage)
}
