/** The live status of a listener: one line of a terminal, from what was counted. */
import type { Totals } from "../metrics/tally.ts"
import { size } from "./progress.ts"

/** Over how long a rate is taken, in milliseconds. */
const span = 2000

interface Sample {
  readonly at: number
  readonly totals: Totals
}

const rate = (perSecond: number): string =>
  perSecond === 0 || perSecond >= 10 ? String(Math.round(perSecond)) : perSecond.toFixed(1)

/** The longest of the texts that has room, or as much of the last one as has. */
const fitting = (texts: ReadonlyArray<string>, columns: number): string =>
  texts.find((text) => text.length <= columns) ?? (texts.at(-1) ?? "").slice(0, columns)

/** Turns the totals at each moment into the line that is shown then. */
export class Status {
  private samples: Array<Sample> = []

  /** What is shown at a moment, in milliseconds, on so many columns. */
  line(totals: Totals, at: number, columns: number): string {
    const now = { at, totals: { ...totals } }
    this.samples = [...this.samples.filter((sample) => at - sample.at <= span), now]
    const [first = now] = this.samples
    const seconds = Math.max(1000, at - first.at) / 1000
    const per = (name: keyof Totals) => (now.totals[name] - first.totals[name]) / seconds
    const [accepted, refused, read, written] = [
      rate(per("accepted")),
      rate(per("refused")),
      `${size(per("bytesRead"))}/s`,
      `${size(per("bytesWritten"))}/s`
    ]
    const both = `${size(per("bytesRead") + per("bytesWritten"))}/s`
    const { open } = totals
    const connections = `${open} connection${open === 1 ? "" : "s"}`
    return fitting(
      [
        `${connections}, ${accepted} handshakes/s, ${refused} refused/s, ${read} in, ${written} out`,
        `${connections}, ${accepted} handshakes/s, ${refused} refused/s, ${both}`,
        `${open} open, ${accepted} new/s, ${refused} refused/s, ${both}`,
        `${open} open, ${both}`
      ],
      columns
    )
  }
}
