import { type ChildProcess, spawn } from "node:child_process"
import { Socket } from "node:net"
import { Duplex as NodeDuplex } from "node:stream"
import { Effect, Exit, type Layer, Schema } from "effect"
import { Address, DialError, Duplex, ListenError, Transport } from "effect-multiserver/node"

// `child:NAME`: a dial starts the program called NAME and talks with it over a socket pair. The program listens on
// `child`, and its one newcomer is the process that started it.

/**
 * What can be started: commands with their arguments, by name. An address from somebody else can start nothing else.
 */
export type Programs = ReadonlyMap<string, readonly [command: string, ...args: ReadonlyArray<string>]>

/** The program's end of the socket pair, and the variable that tells it so. */
const fd = 3
const variable = "CHILD_SOCKET"

const sectionOf = (name: string) => new Address.Opaque({ name: "child", data: name === "" ? "" : `:${name}` })

/** The link destroys the stream with its scope. */
const linkOver = (stream: NodeDuplex, name: string) =>
  Duplex.fromDuplex(stream, { remote: new Address.Address({ transport: sectionOf(name), transforms: [] }) })

/** A program that runs. After success it ends by itself, when it has read all; otherwise it ends with the scope. */
const started = (command: string, args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.callback<ChildProcess, DialError.TransportReason>((resume) => {
      const env = { ...process.env, [variable]: String(fd) }
      const child = spawn(command, args, { env, stdio: ["ignore", "inherit", "inherit", "pipe"] })
      child.on("spawn", () => resume(Effect.succeed(child)))
      child.on("error", ({ message }) => resume(Effect.fail(new DialError.NotDialable({ detail: message }))))
    }),
    (child, exit) => Effect.sync(() => void (Exit.isFailure(exit) && child.kill()))
  )

/** Between the start of the program and its link nothing can interrupt. */
const dial = (programs: Programs, name: string) =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const [command = "", ...args] = programs.get(name) ?? []
      const stream = (yield* started(command, args)).stdio[fd]
      if (!(stream instanceof NodeDuplex)) return yield* new DialError.Unreachable({ code: "no socket pair" })
      stream.allowHalfOpen = true
      return yield* linkOver(stream, name)
    })
  )

/** The one newcomer of this process: the first who listens has it. */
const listen = (onAccepted: Transport.OnAccepted) =>
  Effect.gen(function* () {
    if (process.env[variable] !== String(fd)) {
      return yield* new ListenError.Other({
        code: "NotStarted",
        detail: "no dial has started this process",
        isRetryable: false
      })
    }
    delete process.env[variable]
    const socket = new Socket({ fd, allowHalfOpen: true })
    if (!onAccepted(linkOver(socket, "parent"), undefined)) socket.destroy()
    return { section: sectionOf("") }
  })

/** The transport `child`, for addresses such as `child:backup~noauth`. */
export const layer = (programs: Programs): Layer.Layer<Transport.Transport<"child">> =>
  Transport.layer("child", {
    section: Address.section("child", Schema.String),
    reach: () => "device",
    trusted: true,
    notDialable: (name) => (programs.has(name) ? undefined : `no program is called "${name}"`),
    dial: (name) => dial(programs, name),
    listen: (_, onAccepted) => listen(onAccepted),
    // What has listened can't be dialed: whoever starts it is there already.
    advertise: () => []
  })
