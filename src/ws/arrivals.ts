/**
 * Those who have connected to a server of our own, until they ask for a WebSocket: limits hold from the first moment,
 * and each connection has an event, also one that asks for something else.
 */
import * as net from "node:net"
import { contains, type Networks } from "../Networks.ts"
import { plainIp } from "../sockets/ip.ts"
import type { Arriving, ListenOptions } from "../Transport.ts"
import type * as HttpServer from "./httpServer.ts"

/** One TCP socket. */
interface Arrival {
  arriving: Arriving | undefined
  readonly source: string | undefined
  /** It needs no event any more: it has one, or will have. */
  told: boolean
  /** It was refused what it asked for. That answer is the last one of its connection, whatever came behind. */
  refused: boolean
}

/** Where it comes from. The kernel knows no two at a time that say the same. */
const nameOf = ({ remoteAddress, remotePort }: net.Socket): string => `${remoteAddress} ${remotePort}`

/** The socket under a TLS one, where the runtime says it. */
const below = (socket: net.Socket): net.Socket => {
  const parent: unknown = Reflect.get(socket, "_parent")
  return parent instanceof net.Socket ? parent : socket
}

export class Arrivals {
  /**
   * By the TCP socket itself. A client that resets a connection and comes again from the same port has a new one before
   * Node tells of the old one's end.
   */
  private readonly arrivals = new Map<net.Socket, Arrival>()
  /** The last socket from each port, for runtimes that don't say which one is under a TLS socket. */
  private readonly last = new Map<string, net.Socket>()
  private readonly trusted: Networks
  private readonly hears: ListenOptions

  constructor(trusted: Networks, hears: ListenOptions) {
    this.trusted = trusted
    this.hears = hears
  }

  watch(server: HttpServer.Server): void {
    server.on("connection", (socket: net.Socket) => this.arrive(socket))
  }

  private arrive(socket: net.Socket): void {
    const { remoteAddress } = socket
    if (remoteAddress === undefined) {
      this.hears.onVanished()
      return void socket.destroy()
    }
    const ip = plainIp(remoteAddress)
    // A proxy says later who it is.
    const source = contains(this.trusted, ip) ? undefined : ip
    const arrival: Arrival = { arriving: undefined, source, told: false, refused: false }
    const end = () => {
      arrival.told = true
      socket.destroy()
    }
    arrival.arriving = this.hears.onArriving(source, end, () => socket.bytesRead > 0)
    if (arrival.arriving === undefined) return void socket.destroy()
    const name = nameOf(socket)
    this.arrivals.set(socket, arrival)
    this.last.set(name, socket)
    socket.once("close", () => {
      if (this.last.get(name) === socket) this.last.delete(name)
      if (!this.arrivals.delete(socket)) return
      arrival.arriving?.gone()
      if (arrival.told) return
      // A hello of TLS that came to nothing, half a request, or one that is none.
      if (socket.bytesRead > 0) this.hears.onRefused("BadRequest", source, undefined)
      else this.hears.onVanished()
    })
  }

  private socketOf(socket: net.Socket): net.Socket | undefined {
    const own = below(socket)
    return this.arrivals.has(own) ? own : this.last.get(nameOf(socket))
  }

  /**
   * A request came that is none for a WebSocket. `why`, unless it is served: then `source` is whose it is. Its socket
   * counts until it is gone. `false`: the source may not connect, and is not served.
   */
  stay(socket: net.Socket, why: "PlainHttp" | "UnknownPath" | undefined, source?: string): boolean {
    const own = this.socketOf(socket)
    const arrival = own && this.arrivals.get(own)
    if (arrival === undefined) return true
    if (!arrival.told && why !== undefined) this.hears.onRefused(why, arrival.source, undefined)
    arrival.told = true
    const mayStay = arrival.arriving?.stay(source) !== false
    arrival.refused ||= why !== undefined || !mayStay
    return mayStay
  }

  /** It asks for a WebSocket. `undefined`: it was refused something before, or is gone. */
  take(socket: net.Socket): Arriving | undefined {
    const own = this.socketOf(socket)
    const arrival = own && this.arrivals.get(own)
    if (own === undefined || arrival === undefined || arrival.refused) return undefined
    this.arrivals.delete(own)
    return arrival.arriving
  }
}
