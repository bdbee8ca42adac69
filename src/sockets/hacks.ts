/**
 * The references that turn off the speed hacks of the transports over Node's sockets. Each is on by default, and is
 * read when the layer of a transport is built. Each hack's own module says what it gains.
 */
export { Garbage } from "./garbage.ts"
export { HeapBlock } from "./heapBlock.ts"
export { StaticReads } from "./staticRead.ts"
