/** What pages, workers and their tests share. Nothing of it is Node's. */

/** What is written at once. */
export const pieceBytes = 64 * 1024

/** Bytes that look random, and depend on where in a stream they are. */
const material = Uint8Array.from(
  { length: 2 * pieceBytes + 251 },
  (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 13) & 255
)

/** The piece of every stream of these tests that begins there. It is shared: who gives it away takes a copy. */
export const piece = (at: number): Uint8Array<ArrayBuffer> => {
  const from = (at / pieceBytes) % 251
  return material.subarray(from, from + pieceBytes)
}

export const hexOf = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")

/** Collects what nobody has handled. */
export const watchFaults = (): Array<string> => {
  const faults: Array<string> = []
  globalThis.addEventListener("error", (event) => faults.push(`error: ${"message" in event ? event.message : ""}`))
  globalThis.addEventListener("unhandledrejection", ({ reason }) => faults.push(`unhandled: ${reason}`))
  return faults
}
