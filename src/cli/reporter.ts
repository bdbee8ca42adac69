/** Says events on stderr: one line an event, for people, or one JSON object a line with `--json`. */
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { printableJson } from "../printable.ts"
import { isWorker, send } from "../workerChannel.ts"
import type { Event } from "./events.ts"
import { formatLine, formatVerbose } from "./lines.ts"

/** How much is said: `quiet` only errors, `verbose` also what the library logs for those who look for a fault. */
type Loudness = "quiet" | "usual" | "verbose"

/** Events that only those who look closely want to read. Programs, with `--json`, get them always. */
const isDetail = ({ event }: Event): boolean => event === "bridged"

/** Where events go. */
export class Reporter extends Context.Service<
  Reporter,
  {
    /** Whether output is JSON, for programs. */
    readonly json: boolean
    readonly loudness: Loudness
    /** Reports an event on stderr. */
    readonly say: (event: Event) => Effect.Effect<void>
    /** Shows a line on a terminal, in the place of the one before; nothing for an empty one. Elsewhere does nothing. */
    readonly status: (line: string) => Effect.Effect<void>
    /** Whether `status` shows anything. */
    readonly showsStatus: boolean
    /** How wide the terminal is now. A wider line would leave a part of itself behind. */
    readonly columns: () => number
  }
>()("effect-multiserver/cli/Reporter") {}

const yes = /^(?:true|1|y|yes|on)$/
const no = /^(?:false|0|n|no|off)$/

/**
 * Whether the flag is on, in each form that Effect's parser takes: `--quiet=yes`, `--quiet true`, `-vq`. It is looked
 * for before the arguments are parsed, because an error of usage is reported as an event, too.
 */
const gives = (args: ReadonlyArray<string>, flag: string, short?: string): boolean => {
  const end = args.indexOf("--")
  const own = end < 0 ? args : args.slice(0, end)
  return own.some((arg, i) => {
    const [name = "", value] = arg.split("=", 2)
    const isIt = name === `--${flag}` || (short !== undefined && /^-[a-z]+$/.test(name) && name.includes(short))
    return isIt && (value === undefined ? !no.test(own[i + 1] ?? "") : yes.test(value))
  })
}

/** Takes the cursor of a terminal back to the start of an empty line. */
const clear = "\r\u001b[2K"

export const layer: Layer.Layer<Reporter, never, Stdio.Stdio> = Layer.effect(
  Reporter,
  Effect.gen(function* () {
    const { args, stderr, stderrIsTerminal } = yield* Stdio.Stdio
    const given = yield* args
    const json = gives(given, "json")
    const quiet = gives(given, "quiet", "q")
    const verbose = gives(given, "verbose", "v")
    const loudness = quiet ? "quiet" : verbose ? "verbose" : "usual"
    const render = (event: Event, time: string): string => {
      if (json) return printableJson({ time, ...event })
      return verbose ? formatVerbose(time, event) : formatLine(event)
    }
    const say = (event: Event) => {
      if (event.event !== "error" && (quiet || (!json && !verbose && isDetail(event)))) return Effect.void
      return Effect.flatMap(DateTime.now, (now) => {
        const line = `${isShown ? clear : ""}${render(event, DateTime.formatIso(now))}`
        isShown = false
        return Console.error(line)
      })
    }
    // A worker prints nothing: the process that has started it does.
    if (isWorker()) {
      const say = (event: Event) => send({ _tag: "Said", said: event })
      return { json, loudness, say, status: () => Effect.void, showsStatus: false, columns: () => 80 }
    }
    const isTerminal = yield* stderrIsTerminal
    let isShown = false
    const showsStatus = isTerminal && !json && !quiet
    const columns = () => process.stderr.columns ?? 80
    const status = (line: string) =>
      Effect.suspend(() => {
        if (!showsStatus || (line === "" && !isShown)) return Effect.void
        isShown = line !== ""
        return Effect.ignore(Stream.run(Stream.make(`${clear}${line.slice(0, columns() - 1)}`), stderr()))
      })
    return { json, loudness, say, status, showsStatus, columns }
  })
)

export const report = (event: Event): Effect.Effect<void, never, Reporter> => Reporter.use(({ say }) => say(event))

const loggers: Layer.Layer<never, never, Reporter> = Logger.layer([
  Effect.map(Reporter, ({ say }) =>
    Logger.make<unknown, void>(({ cause, fiber, logLevel, message }) => {
      const texts = [message].flat().map(String)
      if (cause.reasons.length > 0) texts.push(Cause.pretty(cause))
      Effect.runSyncWith(fiber.context)(say({ event: "log", level: logLevel, message: texts.join(" ") }))
    })
  )
])

/** What Effect logs, as events: stdout is for payload only. With `--verbose` also what is for finding faults. */
export const layerLogger: Layer.Layer<never, never, Reporter> = Layer.unwrap(
  Effect.map(Reporter, ({ loudness }) =>
    loudness === "verbose" ? Layer.merge(loggers, Layer.succeed(References.MinimumLogLevel, "Debug")) : loggers
  )
)
