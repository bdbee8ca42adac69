/**
 * How many connections the kernel keeps for a process that is busy; it takes its own maximum when that is less. One
 * more is dropped, and its peer tries again after a second. Node's default, 511, is a burst of half a second.
 */
export const backlog = 4096
