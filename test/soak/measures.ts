/** What the soak's server is measured by, and what it may come to. */

/** The network of the soak. */
export const appKeyBytes = new Uint8Array(32).fill(0x50)

export interface Measured {
  readonly fds: number
  readonly fibers: number
  /** Bytes in use after a collection: heap, and what it holds outside. */
  readonly heap: number
  readonly rss: number
  /** How connections ended, since the start. */
  readonly ends: Readonly<Record<string, number>>
}

/** Under load, at a moment of the run. */
export interface Sample extends Measured {
  readonly seconds: number
}

/** One line of the report. */
export interface Finding {
  readonly what: string
  readonly measured: string
  readonly allowed: string
  readonly holds: boolean
}

const mib = (bytes: number): string => `${(bytes / (1 << 20)).toFixed(2)} MiB`

/** Least squares: how much a second. */
export const slope = (samples: ReadonlyArray<Sample>, of: (sample: Sample) => number): number => {
  const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length
  const meanSeconds = mean(samples.map(({ seconds }) => seconds))
  const meanValue = mean(samples.map(of))
  const spread = samples.map(({ seconds }) => (seconds - meanSeconds) ** 2).reduce((sum, value) => sum + value, 0)
  const together = samples.map((sample) => (sample.seconds - meanSeconds) * (of(sample) - meanValue))
  return together.reduce((sum, value) => sum + value, 0) / spread
}

/**
 * Two quiet moments, with nothing connected, before and after thousands of connections, tell of a leak of 200 bytes for
 * each; the slope under load tells of one that the connections of the moment hide.
 */
export const judge = (
  before: Measured,
  after: Measured,
  samples: ReadonlyArray<Sample>,
  honest: { readonly done: number; readonly failed: number }
): ReadonlyArray<Finding> => {
  const heapSlope = slope(samples, ({ heap }) => heap) * 60
  const fiberSlope = slope(samples, ({ fibers }) => fibers) * 60
  const fdSlope = slope(samples, ({ fds }) => fds) * 60
  const grown = after.heap - before.heap
  return [
    {
      what: "memory under load, a minute",
      measured: mib(heapSlope),
      allowed: mib(8 << 20),
      holds: heapSlope < 8 << 20
    },
    { what: "memory kept when quiet", measured: mib(grown), allowed: mib(1 << 20), holds: grown < 1 << 20 },
    {
      what: "resident memory kept when quiet",
      measured: mib(after.rss - before.rss),
      allowed: mib(32 << 20),
      holds: after.rss - before.rss < 32 << 20
    },
    { what: "fds under load, a minute", measured: fdSlope.toFixed(1), allowed: "120", holds: fdSlope < 120 },
    {
      what: "fds when quiet",
      measured: `${before.fds} to ${after.fds}`,
      allowed: "the same",
      holds: after.fds === before.fds
    },
    { what: "fibers under load, a minute", measured: fiberSlope.toFixed(1), allowed: "300", holds: fiberSlope < 300 },
    {
      what: "fibers when quiet",
      measured: `${before.fibers} to ${after.fibers}`,
      allowed: "the same",
      holds: after.fibers === before.fibers
    },
    {
      what: "honest exchanges",
      measured: `${honest.failed} of ${honest.done + honest.failed} failed`,
      allowed: "0",
      holds: honest.failed === 0 && honest.done > 0
    }
  ]
}
