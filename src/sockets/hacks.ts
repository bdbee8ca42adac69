/**
 * The references that turn off what the transports over Node's sockets do to be fast. Each is on by default, and read
 * where the layer of a transport is built. Each hack's own module says what it buys.
 */
export { Garbage } from "./garbage.ts"
export { HeapBlock } from "./heapBlock.ts"
export { StaticReads } from "./staticRead.ts"
