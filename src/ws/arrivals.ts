/**
 * The sockets that have connected to a server of our own, until they ask for a WebSocket. So the limits apply from the
 * first moment, and each connection has an event, even one that asks for something else.
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
  /** Whether it needs no event from here any more: it has one, or will get one from the listener. */
  told: boolean
  /**
   * Whether a request of it was refused. That answer is the last one of its connection, whatever came behind the
   * request.
   */
  refused: boolean
}

/** The remote IP and port. No two open sockets of a server have the same ones. */
const nameOf = ({ remoteAddress, remotePort }: net.Socket): string => `${remoteAddress} ${remotePort}`

/** The TCP socket under a TLS socket, where the runtime tells it. Otherwise the socket itself. */
const below = (socket: net.Socket): net.Socket => {
  const parent: unknown = Reflect.get(socket, "_parent")
  return parent instanceof net.Socket ? parent : socket
}

export class Arrivals {
  /**
   * Keyed by the TCP socket, and not by its remote IP and port: a client that resets a connection may come again from
   * the same port before Node tells of the old connection's end.
   */
  private readonly arrivals = new Map<net.Socket, Arrival>()
  /** The last socket from each remote IP and port, for runtimes that don't tell which socket is under a TLS socket. */
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
    // A trusted proxy tells the source later, in a header.
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
      // A TLS handshake that failed, half a request, or something that is not a request.
      if (socket.bytesRead > 0) this.hears.onRefused("BadRequest", source, undefined)
      else this.hears.onVanished()
    })
  }

  private socketOf(socket: net.Socket): net.Socket | undefined {
    const own = below(socket)
    return this.arrivals.has(own) ? own : this.last.get(nameOf(socket))
  }

  /**
   * To be called for a request that is not for a WebSocket. `why` says why it is refused. `undefined`: it is to be
   * served, and `source` is its source. The socket counts until it is gone. Returns `false` if policy denies the
   * source: then it must not be served.
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

  /**
   * To be called when a socket asks for a WebSocket. The caller takes the arrival over. `undefined`: a request of it
   * was refused before, or it is gone.
   */
  take(socket: net.Socket): Arriving | undefined {
    const own = this.socketOf(socket)
    const arrival = own && this.arrivals.get(own)
    if (own === undefined || arrival === undefined || arrival.refused) return undefined
    this.arrivals.delete(own)
    const name = nameOf(socket)
    if (this.last.get(name) === own) this.last.delete(name)
    return arrival.arriving
  }
}
