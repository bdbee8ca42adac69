/** Events as lines for people. */
import { manyLines, oneLine } from "../printable.ts"
import type { Event } from "./events.ts"
import { shellWord } from "./shell.ts"
import { authenticates } from "./spoken.ts"

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
      if (event.tracker) {
        const at = shellWord(event.addresses.at(-1) ?? "")
        return [
          ...event.addresses.map((address) => `listening on ${address}`),
          `peers publish with: multiserver listen --tracker ${at} ADDRESS`,
          `and are found with: multiserver connect --tracker ${at} peer:KEY`
        ].join("\n")
      }
      return [
        ...event.addresses.map((address) => `listening on ${address}`),
        // The last one is what reaches it from farthest.
        event.passes
          ? `the other side dials ${event.addresses.at(-1)}, with the ~shs:KEY or ~noise:KEY of the peer behind this ` +
            "bridge after it, if that peer has one"
          : `the other side: multiserver connect ${shellWord(event.addresses.at(-1) ?? "")}`
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
    case "lookup":
      return event.message
    case "dial-failed":
      return `refused ${event.from}: ${event.message}`
    case "published":
      return event.addresses.length === 0
        ? "published that it is reached nowhere"
        : `published ${event.addresses.join(", ")} until ${event.until}`
    case "bridged":
      return `bridged #${event.id} with #${event.with}`
    case "retry":
      return `${event.message}; dialing again in ${event.millis} ms`
    case "metrics":
      return `metrics at ${event.url}`
    case "worker-started":
      return `worker ${event.worker} is process ${event.pid}`
    case "worker-exited":
      return event.message
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

/** A line of `--verbose`: when it was, and which connection it is about. */
export const formatVerbose = (time: string, event: Event): string => {
  const number = "id" in event ? ` #${event.id}` : ""
  const took = event.event === "connected" ? ` in ${event.millis} ms${connecting(event)}` : ""
  return `${time.slice(11, 23)}${number} ${formatLine(event)}${took}`
}

const connecting = ({ connectMillis }: { readonly connectMillis?: number }): string =>
  connectMillis === undefined ? "" : ` (${connectMillis} ms to connect)`
