/**
 * The inherited sockets of a process, for the transports that bind. `openInherited.ts` opens them, and
 * `InheritedSockets.ts` is for programs.
 */
import * as fs from "node:fs"
import type * as net from "node:net"
import * as path from "node:path"
import * as Context from "effect/Context"
import * as Result from "effect/Result"
import type * as Address from "../Address.ts"
import { AddressInUse } from "../ListenError.ts"
import { backlog } from "./backlog.ts"
import { fdRoom } from "./fdRoom.ts"
import { asksFor } from "./ip.ts"
import { ignore } from "./socketPort.ts"

/** A TCP socket that is bound. It accepts nothing until a server takes it over. */
export class TcpSocket {
  readonly descriptor: number
  readonly host: string
  readonly port: number
  private readonly socket: net.Socket
  private taken = false

  constructor(descriptor: number, socket: net.Socket, { address, port }: net.AddressInfo) {
    this.descriptor = descriptor
    this.socket = socket
    this.host = address
    this.port = port
  }

  /** What it is bound to, as a person writes it. */
  get place(): string {
    return this.host.includes(":") ? `[${this.host}]:${this.port}` : `${this.host}:${this.port}`
  }
  /** An address that names it. */
  get name(): string {
    return `net:${this.place}`
  }

  /** Whether it is the socket that a section asks for. */
  isFor(section: Address.Section): "exactly" | "widely" | undefined {
    const isTcp = section._tag === "net" || section._tag === "ws" || section._tag === "wss"
    return isTcp && section.port === this.port ? asksFor(section.host, this.host) : undefined
  }

  /** Makes the server listen with it, and calls back when it does. A socket is taken once. */
  listen(server: net.Server, done: () => void): Result.Result<void, AddressInUse> {
    if (this.taken) return Result.fail(new AddressInUse())
    this.taken = true
    // With an object that has a handle, Node's server takes that handle over.
    server.listen(this.socket, backlog, done)
    return Result.void
  }

  /** Closes it, unless a server has it. */
  close(): void {
    if (!this.taken) this.socket.destroy()
  }
}

/** Whether two paths are of one file. */
const isSame = (a: string, b: string): boolean => {
  if (path.resolve(a) === path.resolve(b)) return true
  const both = Result.try(() => [fs.statSync(a, { bigint: true }), fs.statSync(b, { bigint: true })] as const)
  return (
    Result.isSuccess(both) && both.success[0].ino === both.success[1].ino && both.success[0].dev === both.success[1].dev
  )
}

/** A unix socket. It accepts from the beginning, and holds what it has accepted until a transport takes it. */
export class UnixSocket {
  readonly descriptor: number
  /** The path to which it is bound. */
  readonly path: string
  private readonly server: net.Server
  private readonly room = fdRoom()
  private held: Array<net.Socket> = []
  private take: ((socket: net.Socket) => void) | undefined

  /** `server` listens with the descriptor, and pauses what it accepts. */
  constructor(descriptor: number, server: net.Server, path: string) {
    this.descriptor = descriptor
    this.path = path
    this.server = server.on("connection", (socket) => {
      if (this.take !== undefined) return this.take(socket)
      if (this.held.length >= this.room) return void socket.destroy()
      this.held.push(socket.on("error", ignore))
    })
  }

  get place(): string {
    return this.path
  }
  get name(): string {
    return `unix:${this.path}`
  }

  isFor(section: Address.Section): "exactly" | undefined {
    return section._tag === "unix" && isSame(section.path, this.path) ? "exactly" : undefined
  }

  /** Hands over what has been accepted and what will be. A socket is taken once. */
  accept(take: (socket: net.Socket) => void): Result.Result<void, AddressInUse> {
    if (this.take !== undefined) return Result.fail(new AddressInUse())
    this.take = take
    for (const socket of this.held.splice(0)) take(socket)
    return Result.void
  }

  /** Accepts no more. The system keeps the file, and whoever else has the socket goes on. */
  close(): void {
    this.server.close()
    for (const socket of this.held.splice(0)) socket.destroy()
  }
}

export type Socket = TcpSocket | UnixSocket

/** Makes a server listen with a socket of its own. */
export type Bind = (
  server: net.Server,
  place: { readonly host: string; readonly port: number },
  done: () => void
) => void

const bindAlone: Bind = (server, { host, port }, done) => {
  server.listen({ host, port, backlog }, done)
}

/**
 * The inherited sockets, each with the section of the address that names it.
 *
 * @category models
 * @since 0.1.0
 */
export class Inherited {
  private readonly named: ReadonlyArray<{ readonly section: Address.Section; readonly socket: Socket }>
  /** The first socket that no address names. */
  readonly unnamed: Socket | undefined
  /** How what is not inherited is bound. The workers of one program share it. */
  readonly bind: Bind

  constructor(sockets: ReadonlyArray<Socket>, addresses: ReadonlyArray<Address.Address>, bind: Bind = bindAlone) {
    this.bind = bind
    const free = new Set(sockets)
    const named: Array<{ readonly section: Address.Section; readonly socket: Socket }> = []
    // Where there is a socket for each wildcard, each address gets its own.
    for (const how of ["exactly", "widely"] as const) {
      for (const { transport: section } of addresses) {
        const socket = [...free].find((each) => each.isFor(section) === how)
        if (socket === undefined || named.some((each) => each.section === section)) continue
        named.push({ section, socket })
        free.delete(socket)
      }
    }
    this.named = named
    ;[this.unnamed] = free
  }

  /** The unix sockets. */
  get unix(): ReadonlyArray<UnixSocket> {
    return this.named.flatMap(({ socket }) => (socket instanceof UnixSocket ? [socket] : []))
  }

  /** The unix socket that a path names. */
  unixAt(path: string): UnixSocket | undefined {
    const found = this.named.find(({ section }) => section._tag === "unix" && section.path === path)?.socket
    return found instanceof UnixSocket ? found : undefined
  }

  /** Makes a server listen with the socket that the host and the port name, or bind one if there is none. */
  listen(
    server: net.Server,
    { host, port }: { readonly host: string; readonly port: number },
    done: () => void
  ): Result.Result<void, AddressInUse> {
    const found = this.named.find(
      ({ section }) => "host" in section && section.host === host && section.port === port
    )?.socket
    if (found instanceof TcpSocket) return found.listen(server, done)
    this.bind(server, { host, port }, done)
    return Result.void
  }
}

/**
 * The sockets that this process has inherited, for the transports that bind. Read when the layer of a transport is
 * built. By default none. Its layers are in this module.
 *
 * @category references
 * @since 0.1.0
 */
export const InheritedSockets: Context.Reference<Inherited> = Context.Reference(
  "effect-multiserver/sockets/InheritedSockets",
  { defaultValue: () => new Inherited([], []) }
)
