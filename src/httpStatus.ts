/** Which HTTP statuses are worth another try. */

/** Request Timeout, Too Early, Too Many Requests. */
const below500 = [408, 425, 429]

/** Whether the same request may get another answer the next time. */
export const isOfTheMoment = (status: number): boolean => status >= 500 || below500.includes(status)
