/** What an HTTP server answers that should have opened a WebSocket, and what the user can do about it. */
import { printable } from "../printable.ts"

const advice = (status: number, location: string | undefined): string => {
  if (status >= 300 && status < 400) {
    return location === undefined
      ? "it redirects, but does not say where to"
      : `it redirects to ${location}: dial that, if you trust it`
  }
  if (status === 401 || status === 407) return "it wants credentials: pass them as request headers"
  if (status === 403) return "it may want credentials, or another origin or host name"
  if (status === 404 || status === 410) return "there is no WebSocket at this path"
  return status < 300 || status === 426
    ? "there is a web server, and no WebSocket at this path"
    : "see what its operator says"
}

/** The answer as `Unreachable` has it, with its texts made safe to print. */
export const httpAnswer = (status: number, header: string | undefined) => {
  const location = header === undefined ? undefined : printable(header, 200)
  return { status, ...(location !== undefined && { location }), advice: advice(status, location) }
}
