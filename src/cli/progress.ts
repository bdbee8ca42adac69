/** How far a transfer is, as one line on a terminal that is written over each second. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Reporter } from "./reporter.ts"

/** What a transfer has carried, in bytes. */
export interface Carried {
  sent: number
  received: number
}

const units = ["B", "KiB", "MiB", "GiB", "TiB"]

/** `1.4 MiB`: three digits or so. */
export const size = (bytes: number): string => {
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  const amount = bytes / 1024 ** power
  return `${power === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${units[power]}`
}

/** `1:02:03`, or `2:03` below an hour. */
export const time = (seconds: number): string => {
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60]
  const two = (n: number) => String(n).padStart(2, "0")
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`
}

/** Shows the amount, the rate and the time each second, as long as `isWanted`. Nothing is left of it at the end. */
export const progress = (carried: Carried, isWanted: () => boolean): Effect.Effect<never, never, Reporter> =>
  Effect.gen(function* () {
    const { status } = yield* Reporter
    const started = yield* Clock.currentTimeMillis
    let before = 0
    const show = Effect.gen(function* () {
      yield* Effect.sleep("1 second")
      const { received, sent } = carried
      const seconds = ((yield* Clock.currentTimeMillis) - started) / 1000
      const line = `${size(sent)} out, ${size(received)} in, ${size(sent + received - before)}/s, ${time(seconds)}`
      before = sent + received
      yield* status(isWanted() ? line : "")
    })
    return yield* Effect.ensuring(Effect.forever(show), status(""))
  })
