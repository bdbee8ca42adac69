/** Compares bytes that are public. The time that it takes tells where they differ: not for secrets. */

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])
