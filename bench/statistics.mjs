/** What a run may conclude from its figures: a median, how far to trust it, and whether a limit holds. */

export const median = (values) => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Numbers from 0 to 1 that look random and are the same for the same seed (mulberry32). */
export const generator = (seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

const resamples = 2000
const level = 0.95

/**
 * The median of some values, and its interval of 95 % by the bootstrap: as many values are drawn from these, with
 * repetition, 2,000 times, and the medians of the middle 95 % of the draws are the interval. The same values give the
 * same interval, whatever was computed before.
 */
export const interval = (values) => {
  const random = generator(values.length)
  const medians = Array.from({ length: resamples }, () =>
    median(values.map(() => values[Math.floor(random() * values.length)]))
  ).sort((a, b) => a - b)
  const outside = Math.floor((resamples * (1 - level)) / 2)
  return { low: medians[outside], median: median(values), high: medians[resamples - 1 - outside] }
}

/**
 * With fewer values nothing is concluded. The interval of five goes from the least to the largest, and all five lie on
 * the same side of the truth in one of 16 cases.
 */
export const fewest = 5

/** Whether values keep a limit, `most` or `least`: `met`, `missed`, or `unclear` if the interval has it inside. */
export const verdictOf = ({ least, most }, values) => {
  if (values.length < fewest) return "unclear"
  const { high, low } = interval(values)
  if (most === undefined ? low >= least : high <= most) return "met"
  if (most === undefined ? high < least : low > most) return "missed"
  return "unclear"
}
