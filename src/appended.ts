/**
 * Appends `piece` to `last`, which has to begin where its memory begins. The result lies in that memory if it is long
 * enough. Otherwise both are copied into new memory, four times as long as they are, but at most `most` bytes, so that
 * the next pieces fit too.
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
