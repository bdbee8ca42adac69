/**
 * The bytes of `piece` behind those of `last`, which begins where its memory begins. They lie in that memory, where it
 * is long enough, and otherwise in longer memory of at most `most` bytes. Mostly nothing follows a piece, so its first
 * memory is just as long as it is: only here does it grow, to four times of what is needed.
 */
export const appended = (last: Uint8Array<ArrayBuffer>, piece: Uint8Array, most: number): Uint8Array<ArrayBuffer> => {
  const length = last.length + piece.length
  let memory = last.buffer
  if (memory.byteLength < length) {
    memory = new ArrayBuffer(Math.min(most, 4 * length))
    new Uint8Array(memory).set(last)
  }
  const joined = new Uint8Array(memory, 0, length)
  joined.set(piece, last.length)
  return joined
}
