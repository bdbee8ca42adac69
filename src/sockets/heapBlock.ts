/**
 * A block of 16 MiB that is allocated once and dropped, so that glibc keeps its heap.
 *
 * glibc gives the top of its heap back to the system as soon as 128 KiB are free there, and takes it again page by
 * page: a fifth of what it costs to receive in bulk (170,000 page faults a GiB, and 500 with the block). It keeps twice
 * as much as the largest block with a mapping of its own that was ever freed. This one is never touched, so that it
 * takes addresses and no memory; the price is that a process that reads in bulk keeps up to 32 MiB of freed memory.
 *
 * It depends on nothing of Node's inside: with another allocator it is one allocation that is dropped.
 */
import * as Context from "effect/Context"

/** Whether it is made. Read where the layer of a transport is built. */
export const HeapBlock: Context.Reference<boolean> = Context.Reference("effect-multiserver/sockets/HeapBlock", {
  defaultValue: () => true
})

/** Who is given this much at a time reads in bulk. */
const bulkBytes = 32 * 1024
const blockBytes = 16 * 1024 * 1024

const made = { once: false }

/**
 * Makes the block with the first large buffer, and drops it at once: the next collection of the young frees it. One
 * that is kept for longer is collected with the old, after megabytes have come.
 */
export const keepHeapFor = (bytes: number): void => {
  if (made.once || bytes < bulkBytes) return
  made.once = true
  Buffer.allocUnsafeSlow(blockBytes)
}
