/** How a worker binds a port that it shares with the others. */
import * as net from "node:net"
import { backlog } from "../sockets/backlog.ts"
import type { Bind } from "../sockets/inherited.ts"
import type { Init } from "./messages.ts"

/**
 * Binds a port that the workers share. For port 0, the first worker takes a free port, and the others get its number
 * from the parent.
 *
 * With `SO_REUSEPORT`, the system would let a second program of this user take the same port, and give it half of the
 * connections. So the first worker binds the port alone before, which fails where anybody has it. `node:cluster` knows
 * a port by the number that is asked for, so 0 would not be the same as the number of the restarted worker.
 */
export const sharedBind = (init: Init, onBound: (place: string, port: number) => void): Bind => {
  const counts = new Map<string, number>()
  const listen = (server: net.Server, host: string, port: number, done: () => void) => {
    if (init.sharing === "reusePort") server.listen({ host, port, backlog, reusePort: true }, done)
    else server.listen({ host, port, backlog }, done)
  }
  return (server, { host, port }, done) => {
    const before = counts.get(host) ?? 0
    if (port === 0) counts.set(host, before + 1)
    const place = `${host} ${before}`
    const known = port === 0 ? init.ports[place] : port
    if (known !== undefined && init.before > 0) return listen(server, host, known, done)
    const alone = net.createServer((socket) => void socket.destroy())
    alone.once("error", (error) => void server.emit("error", error))
    alone.listen({ host, port: known ?? 0, exclusive: true }, () => {
      const own = alone.address()
      const found = own !== null && typeof own === "object" ? own.port : port
      alone.close(() =>
        listen(server, host, found, () => {
          if (port === 0) onBound(place, found)
          done()
        })
      )
    })
  }
}
