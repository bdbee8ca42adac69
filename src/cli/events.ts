/** What the command says on stderr: one line an event, for people, or one JSON object a line with `--json`. */
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
import * as Address from "../Address.ts"
import type { Connection } from "../Connection.ts"
import type { DialError } from "../DialError.ts"
import type * as Events from "../Events.ts"
import { manyLines, oneLine, printableJson } from "../printable.ts"
import { attemptsOf, type CommandError, messageOf, reasonOf } from "./exit.ts"
import { shellWord } from "./shell.ts"
import { authenticates } from "./stacks.ts"

/** The number of a connection of this command: `connected`, `closed` and `bridged` name it. */
interface OfId {
  readonly id: number
}

interface OfConnection {
  /** Whether this side dialed or listened. */
  readonly role: "dial" | "listen"
  /** The peer's address as it was reached, with the key that the peer proved. */
  readonly address: string
  readonly stack: string
  /** The IP that the peer came from; `null` for a dial, and where there is none. */
  readonly source: string | null
  /** Milliseconds since the connection was accepted, or since its dial began. */
  readonly millis: number
}

/** The public key that the peer has proved, base64; `null` where the stack doesn't authenticate. */
interface OfPeer {
  readonly peer: string | null
}

/** What is reported about a failure. */
export interface Failed {
  readonly reason: string
  readonly message: string
  /** Only for a dial that tried several addresses. */
  readonly attempts?: ReadonlyArray<{ readonly address: string; readonly reason: string; readonly message: string }>
}

/** The shapes of `--json`; docs/cli.md describes them. */
export type Event =
  | { readonly event: "listening"; readonly addresses: ReadonlyArray<string> }
  | ({
      readonly event: "connected"
      /** Of a dial: how many of its `millis` its transport took to connect. The rest is handshakes. */
      readonly connectMillis?: number
    } & OfId &
      OfConnection &
      OfPeer)
  | ({
      readonly event: "closed"
      readonly bytesRead: number
      readonly bytesWritten: number
      readonly reason: string
      /** Only for a connection that failed. */
      readonly message?: string
    } & OfId &
      OfConnection &
      OfPeer)
  | { readonly event: "bridged"; readonly id: number; readonly with: number }
  | {
      readonly event: "retry"
      readonly reason: string
      readonly message: string
      readonly attempt: number
      readonly millis: number
    }
  | ({
      readonly event: "handshake-failed"
      readonly protocol: string
      readonly phase: string
      readonly bytesRead: number
      readonly bytesWritten: number
      readonly reason: string
      readonly message: string
      readonly count: number
    } & OfConnection)
  | {
      readonly event: "refused"
      readonly source: string | null
      readonly stack: string
      readonly reason: string
      readonly count: number
    }
  | {
      readonly event: "fallback"
      readonly address: string
      readonly from: string
      readonly next: string
      readonly to: string
      readonly reason: string
      readonly message: string
    }
  | ({ readonly event: "dial-failed"; readonly id: number; readonly from: string } & Failed)
  | { readonly event: "created"; readonly file: string; readonly key: string }
  | { readonly event: "reloaded"; readonly file: string }
  | { readonly event: "warning"; readonly message: string }
  | { readonly event: "log"; readonly level: string; readonly message: string }
  | ({ readonly event: "error"; readonly tag: string } & Failed)

// -----------------------------------------------------------------------------
// events from elsewhere
// -----------------------------------------------------------------------------

/** Converts an event of the library. `undefined` for a failed dial, which is reported once: as the command's error. */
export const fromLibrary = (event: Events.Event): Event | undefined => {
  switch (event._tag) {
    case "Connected":
    case "Closed": {
      const { id, millis, peer = null, remote: address, role, source = null, stack } = event
      const common = { id, role, address, peer, stack, source, millis }
      if (event._tag === "Connected") {
        const { connectMillis } = event
        return { event: "connected", ...common, ...(connectMillis !== undefined && { connectMillis }) }
      }
      const { bytesRead, bytesWritten, failure, tag: reason } = event
      const message = failure?.message
      return { event: "closed", ...common, bytesRead, bytesWritten, reason, ...(message && { message }) }
    }
    case "HandshakeFailed": {
      const { bytesRead, bytesWritten, error, millis, phase, protocol, remote, role, source = null, stack, tag } = event
      const common = { role, address: remote, stack, source, millis }
      const what = { protocol, phase, bytesRead, bytesWritten, reason: tag, message: error.message }
      return { event: "handshake-failed", ...common, ...what, count: 1 }
    }
    case "Refused":
      return {
        event: "refused",
        source: event.source ?? null,
        stack: event.stack,
        reason: event.tag,
        count: event.count
      }
    case "Fallback": {
      const { failed, from, next, to } = event
      const { _tag: reason, message } = failed.reason
      return { event: "fallback", address: failed.address, from, next, to, reason, message }
    }
    case "DialFailed":
      return undefined
  }
}

export const failed = (error: CommandError): Failed => {
  const attempts = attemptsOf(error)
  return { reason: reasonOf(error), message: messageOf(error), ...(attempts && { attempts }) }
}

export const fromError = (error: CommandError): Event => ({ event: "error", tag: error._tag, ...failed(error) })

/** The event for a failed dial of `bridge`, made for this connection. */
export const fromFailedDial = ({ id, remote }: Connection, error: DialError): Event => ({
  event: "dial-failed",
  id,
  from: Address.format(remote),
  ...failed(error)
})

/** The event for a defect, which is always a bug of this program. */
export const fromDefect = (cause: Cause.Cause<unknown>): Event => ({
  event: "error",
  tag: "Defect",
  reason: "Defect",
  message: `a fault of this program, please report it: ${Cause.pretty(cause)}`
})

// -----------------------------------------------------------------------------
// rendering
// -----------------------------------------------------------------------------

const amount = (bytes: number): string => `${bytes} byte${bytes === 1 ? "" : "s"}`

/**
 * How a connection ended, in words unless it failed. An end is called a goodbye only where the stack proves keys:
 * elsewhere anybody on the way can fake it.
 */
const ending = ({ message, reason, stack }: Extract<Event, { readonly event: "closed" }>): string => {
  const proved = authenticates(stack)
  switch (reason) {
    case "end":
      return proved ? "both sides said goodbye" : "both sides have ended"
    case "closed":
      return proved ? "this side said goodbye" : "this side has ended"
    case "LocallyClosed":
      return "this side broke it off"
    default:
      return message ?? reason
  }
}

/** How many events this one stands for. */
const timesOf = ({ count }: { readonly count: number }): string => (count === 1 ? "" : ` (${count} times)`)

/** Makes the texts of an event safe to print, because peers can affect many. Only messages may have several lines. */
const safely = (event: Event): Event =>
  Object.assign(
    { ...event },
    ...Object.entries(event).map(([name, value]) =>
      typeof value === "string" ? { [name]: name === "message" ? manyLines(value) : oneLine(value) } : {}
    )
  )

/** One event as text for people. */
export const formatLine = (raw: Event): string => {
  const event = safely(raw)
  switch (event.event) {
    case "listening":
      if (event.addresses.length === 0) return "listening, but on no address that can be dialed from the given --scope"
      return [
        ...event.addresses.map((address) => `listening on ${address}`),
        // The last one is what reaches it from farthest.
        `the other side: multiserver connect ${shellWord(event.addresses.at(-1) ?? "")}`
      ].join("\n")
    case "connected":
      return `connected with ${event.address}`
    case "closed": {
      const amounts = `${amount(event.bytesRead)} in, ${amount(event.bytesWritten)} out`
      return `closed ${event.address}: ${amounts}; ${ending(event)}`
    }
    case "handshake-failed":
      return `refused ${event.address || (event.source ?? event.stack)}: ${event.message}${timesOf(event)}`
    case "refused":
      return `refused ${event.source ?? event.stack}: ${event.reason}${timesOf(event)}`
    case "fallback":
      return `${event.address} failed: ${event.message}; trying ${event.next}`
    case "dial-failed":
      return `refused ${event.from}: ${event.message}`
    case "bridged":
      return `bridged #${event.id} with #${event.with}`
    case "retry":
      return `${event.message}; dialing again in ${event.millis} ms`
    case "created":
      return `a new key is in ${event.file}: keep it secret`
    case "reloaded":
      return `${event.file} was read again, and is shown from now on`
    case "warning":
      return `warning: ${event.message}`
    case "log":
      return `${event.level.toLowerCase()}: ${event.message}`
    case "error":
      return `error: ${event.message}`
  }
}

/** How much is said: `quiet` only errors, `verbose` also what the library logs for those who look for a fault. */
type Loudness = "quiet" | "usual" | "verbose"

/** Events that only those who look closely want to read. Programs, with `--json`, get them always. */
const isDetail = ({ event }: Event): boolean => event === "bridged"

/** A line of `--verbose`: when it was, and which connection it is about. */
const formatVerbose = (time: string, event: Event): string => {
  const number = "id" in event ? ` #${event.id}` : ""
  const took = event.event === "connected" ? ` in ${event.millis} ms${connecting(event)}` : ""
  return `${time.slice(11, 23)}${number} ${formatLine(event)}${took}`
}

const connecting = ({ connectMillis }: { readonly connectMillis?: number }): string =>
  connectMillis === undefined ? "" : ` (${connectMillis} ms to connect)`

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
  }
>()("effect-multiserver/cli/Reporter") {}

/** Whether the flag is given. Needed before the arguments are parsed, because a usage error is an event, too. */
const gives = (args: ReadonlyArray<string>, flag: string, short?: string): boolean => {
  const end = args.indexOf("--")
  return args
    .slice(0, end < 0 ? args.length : end)
    .some((arg) => arg === `--${flag}` || arg === `--${flag}=true` || arg === short)
}

/** Takes the cursor of a terminal back to the start of an empty line. */
const clear = "\r\u001b[2K"

export const layer: Layer.Layer<Reporter, never, Stdio.Stdio> = Layer.effect(
  Reporter,
  Effect.gen(function* () {
    const { args, stderr, stderrIsTerminal } = yield* Stdio.Stdio
    const given = yield* args
    const json = gives(given, "json")
    const quiet = gives(given, "quiet", "-q")
    const verbose = gives(given, "verbose", "-v")
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
    const isTerminal = yield* stderrIsTerminal
    let isShown = false
    const status = (line: string) => {
      if (!isTerminal || json || quiet || (line === "" && !isShown)) return Effect.void
      isShown = line !== ""
      return Effect.ignore(Stream.run(Stream.make(`${clear}${line}`), stderr()))
    }
    return { json, loudness, say, status }
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
