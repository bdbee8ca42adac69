/** Reads the PROXY header of a connection that a trusted proxy forwards, then treats the connection as its client's. */
import type { Socket } from "node:net"
import * as Address from "../Address.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"
import { breakOff } from "../sockets/socketPort.ts"
import { accepted, type Reading } from "../sockets/streamSocket.ts"
import type * as Transport from "../Transport.ts"
import { maxLength, parse } from "./proxyHeader.ts"

/** Hands the connection over once its header is complete. The handshake's deadline includes the wait for it. */
export const proxied = (
  socket: Socket,
  proxy: string,
  told: Pick<Transport.ListenOptions, "authenticates" | "onArriving" | "onRefused">,
  reading: Reading
): void => {
  const turnAway = () => breakOff(socket, told.authenticates)
  const arriving = told.onArriving(undefined, turnAway)
  if (arriving === undefined) {
    turnAway()
    return
  }
  let read = Buffer.alloc(0)
  const onData = (chunk: Buffer): void => {
    read = Buffer.concat([read, chunk])
    const header = parse(read.subarray(0, maxLength))
    if (header === "incomplete") return
    socket.off("data", onData).off("end", onEnd).pause()
    if (header === "malformed") {
      refuse()
      return
    }
    const { host, port } = header.source ?? { host: proxy, port: socket.remotePort ?? 0 }
    const rest = read.subarray(header.length)
    if (rest.length > 0) socket.unshift(rest)
    const remote = makeUnchecked(Address.Net, { _tag: "net", host, port })
    const link = accepted(socket, remote, reading, told, host)
    if (arriving.accept(link, host)) socket.off("close", arriving.gone)
    else turnAway()
  }
  const refuse = (): void => {
    told.onRefused("ProxyHeader", proxy, undefined)
    turnAway()
  }
  // An end within the header is malformed. An end before the first byte is a health check.
  const onEnd = (): void => {
    if (read.length > 0) refuse()
    else socket.destroy()
  }
  socket.on("error", () => {}).once("close", arriving.gone)
  socket.on("data", onData).on("end", onEnd).resume()
}
