/** HTTP's statuses as reasons to try again. */

/** Of those below 500: it took too long, it is too early, or it comes too often. */
const below500 = [408, 425, 429]

/** Whether the same request may get another answer the next time. */
export const isOfTheMoment = (status: number): boolean => status >= 500 || below500.includes(status)
