/**
 * How many new connections the kernel queues while the process is busy. The kernel's own maximum applies if it is less.
 * A connection beyond that is dropped, and its peer tries again after a second. A burst fills Node's default, 511, in
 * half a second.
 */
export const backlog = 4096
