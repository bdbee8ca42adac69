/** The heads of WebSocket frames (RFC 6455, 5.2): how long they are, written and read. */

export const opcodes = { continuation: 0, text: 1, binary: 2, control: 8 } as const

/** The longest head: two bytes, eight of the length, four of the mask. */
export const maxHead = 14

const masked = 0x80

/** The size of a frame's head in bytes, for a payload of `length` bytes. */
export const sizeFor = (length: number, isMasked: boolean): number =>
  (length < 126 ? 2 : length < 65_536 ? 4 : 10) + (isMasked ? 4 : 0)

/**
 * Writes the head of a message in one frame at the beginning of `to`. The four bytes of its mask are left as they are.
 */
export const write = (to: Buffer, opcode: number, length: number, isMasked: boolean): void => {
  const mask = isMasked ? masked : 0
  to[0] = 0x80 | opcode
  if (length < 126) {
    to[1] = mask | length
  } else if (length < 65_536) {
    to[1] = mask | 126
    to.writeUInt16BE(length, 2)
  } else {
    to[1] = mask | 127
    to.writeUInt16BE(0, 2)
    to.writeUIntBE(length, 4, 6)
  }
}

/** The size of a head in bytes, by its second byte. */
export const sizeBy = (second: number): number => {
  const short = second & 0x7f
  return 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + (second & masked ? 4 : 0)
}

/** The length of the payload in bytes, as a complete head says. */
export const lengthIn = (head: Buffer): number => {
  const short = (head[1] ?? 0) & 0x7f
  if (short === 126) return head.readUInt16BE(2)
  return short === 127 ? head.readUInt32BE(2) * 2 ** 32 + head.readUInt32BE(6) : short
}
