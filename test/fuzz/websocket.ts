/**
 * The ws transport between two liars: a client in memory that speaks to our listener, on a server of Node's, and a
 * server on TCP that our dialer speaks to. What was sent whole is read, the end has its one right name, and each
 * connection its one event.
 *
 * An input is a frame, or a request to upgrade: a connection carries many, up to the one that ends it.
 */

import { createHash } from "node:crypto"
import * as http from "node:http"
import * as net from "node:net"
import { Duplex } from "node:stream"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Address from "../../src/Address.ts"
import type { Connection } from "../../src/Connection.ts"
import * as Events from "../../src/Events.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Transform from "../../src/Transform.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { check, type Fuzzer, type Notes } from "./fuzzer.ts"
import { join, type Random } from "./random.ts"
import * as Wire from "./websocketWire.ts"

const maxMessage = 4096
const authenticatedMaxMessage = 128 * 1024

/** A transform that does nothing and says that it authenticates: over it a ws has a half close, and longer messages. */
const nothing = Transform.layer("nothing", {
  section: Address.section("nothing", Schema.String),
  authenticates: true,
  inbound: Effect.succeed,
  outbound: Effect.succeed
})

/** What Node takes for the socket of a newcomer. */
class MemorySocket extends Duplex {
  readonly remoteAddress = "127.0.0.1"
  readonly remotePort = 1
  readonly sent: Array<Uint8Array> = []

  override _read(): void {}

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.sent.push(chunk)
    done()
  }
}

/** What the holder of a connection saw. */
interface Seen {
  bytes: Array<Uint8Array>
  ending: string
}

const turns = (count: number) =>
  Effect.promise(async () => {
    for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
  })

/** Reads to the end, whatever it is, and says what there was. */
const readTo = (
  seen: Seen,
  connection: Connection,
  use: (chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<unknown, unknown>
) =>
  connection.pull.pipe(
    Effect.flatMap((chunks) => {
      for (const chunk of chunks) seen.bytes.push(chunk.slice())
      return use(chunks)
    }),
    Effect.forever({ disableYield: true }),
    Effect.catch((error) =>
      Effect.sync(() => {
        seen.ending = Cause.isDone(error) ? "clean end" : endingOf(error)
      })
    )
  )

const endingOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "reason" in error
    ? String((error.reason as { _tag?: unknown })._tag)
    : String(error)

/** What is done with the connection of the run that goes on. */
interface Plan {
  readonly late: number
  readonly echo: boolean
  readonly seen: Seen
  readonly closed: () => void
}

interface World {
  readonly server: http.Server
  readonly host: string
  /** Runs a dial. */
  readonly dial: (
    address: string,
    use: (connection: Connection) => Effect.Effect<unknown>
  ) => Promise<Exit.Exit<unknown, unknown>>
  /** Where the liar on TCP listens, and what it says to the next one. */
  readonly liar: { readonly port: number; say: (socket: net.Socket) => void }
  plan: Plan | undefined
  /** Events of the run that goes on. */
  events: Array<Events.Event>
  readonly close: () => Promise<void>
}

const listening = <S extends net.Server>(server: S): Promise<S> =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)))

const portOf = (server: net.Server): number => (server.address() as net.AddressInfo).port

const open = async (): Promise<World> => {
  const server = await listening(http.createServer())
  const liar = { port: 0, say: (socket: net.Socket): void => void socket.destroy() }
  const liars = await listening(
    net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {})
      liar.say(socket)
    })
  )
  liar.port = portOf(liars)
  const emit: Events.Sink = (event) =>
    Effect.sync(() => {
      world.events.push(event)
      if ("role" in event && event._tag !== "Connected") world.plan?.closed()
    })
  const layer = Multiserver.layer(["ws", "ws~nothing"]).pipe(
    Layer.provide([WebSocket.layer({ server, maxMessage }), nothing, Events.layer(emit)])
  )
  const scope = Effect.runSync(Scope.make())
  const context = await Effect.runPromise(Layer.build(layer).pipe(Scope.provide(scope)))
  const handler = (connection: Connection) =>
    Effect.suspend(() => {
      const { plan } = world
      if (plan === undefined) return Effect.die(new Error("nobody expects a connection"))
      const use = plan.echo ? connection.writeAll : () => Effect.void
      return Effect.andThen(
        turns(plan.late),
        readTo(plan.seen, connection, use as (chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<unknown, unknown>)
      )
    })
  const host = `127.0.0.1:${portOf(server)}`
  const serve = Multiserver.serve([`ws://${host}/bare`, `ws://${host}/half~nothing`], handler)
  Effect.runFork(serve.pipe(Effect.provideContext(context), Scope.provide(scope)))
  await Effect.runPromise(turns(5))
  const world: World = {
    server,
    host,
    liar,
    plan: undefined,
    events: [],
    dial: (address, use) =>
      Effect.runPromiseExit(
        Effect.scoped(Effect.flatMap(Multiserver.dial(address), use)).pipe(Effect.provideContext(context))
      ),
    close: async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      server.close()
      liars.close()
    }
  }
  return world
}

let current: Promise<World> | undefined
const world = (): Promise<World> => {
  current ??= open()
  return current
}

// -----------------------------------------------------------------------------
// runs
// -----------------------------------------------------------------------------

/** How long one connection may take to be over, once the liar has said all. */
const patienceMillis = 120_000

const inTime = <A>(promise: Promise<A>, what: string): Promise<A> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} is not over after ${patienceMillis} ms`)), patienceMillis)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

const request = (path: string, host: string): string =>
  [
    ...[
      `GET ${path} HTTP/1.1`,
      `Host: ${host}`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13"
    ],
    ...["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", ""]
  ].join("\r\n")

const split = (sent: Uint8Array): { readonly status: string; readonly rest: Uint8Array } => {
  const end = Buffer.from(sent).indexOf("\r\n\r\n")
  return {
    status: Buffer.from(sent.subarray(0, 12)).toString("latin1"),
    rest: sent.subarray(end < 0 ? sent.length : end + 4)
  }
}

const isPrefix = (part: Uint8Array, whole: Uint8Array): boolean =>
  part.length <= whole.length && Buffer.compare(part, whole.subarray(0, part.length)) === 0

/** What our side said is frames, unmasked, that answer the pings in order and echo what was read. */
const checkAnswers = (sent: Uint8Array, reading: Wire.Reading): void => {
  const frames = Wire.framesOf(sent)
  const pongs = frames.filter(({ opcode }) => opcode === Wire.opcodes.pong && true)
  check(
    frames.every(({ masked, rsv }) => !masked && rsv === 0),
    () => "a masked frame from the server"
  )
  check(
    pongs.every(({ payload }, i) => Buffer.compare(payload, reading.pings[i] ?? new Uint8Array(200)) === 0),
    () => "a pong that answers no ping"
  )
  const echoed = join(frames.filter(({ opcode }) => opcode === Wire.opcodes.binary).map(({ payload }) => payload))
  check(isPrefix(echoed, reading.bytes), () => "an echo of something else")
}

const checkRead = (seen: Seen, reading: Wire.Reading, exact: boolean): void => {
  const bytes = join(seen.bytes)
  check(isPrefix(bytes, reading.bytes), () => "other bytes than were sent")
  if (!exact) return
  check(seen.ending === reading.ending, () => `${seen.ending} instead of ${reading.ending}`)
  check(bytes.length === reading.bytes.length, () => `${bytes.length} bytes instead of ${reading.bytes.length}`)
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

const shows = (pieces: ReadonlyArray<Uint8Array>) => () => pieces.map(hex).join(" ")

/** Feeds a newcomer to our server, piece by piece, some of them on a later turn, and then the end. */
const feed = async (socket: MemorySocket, random: Random, pieces: ReadonlyArray<Uint8Array>, end: "FIN" | "reset") => {
  for (const piece of pieces) {
    if (socket.destroyed) return
    if (piece.length > 0) socket.push(piece)
    if (random.oneIn(20)) await new Promise((resolve) => setImmediate(resolve))
  }
  // A reset takes with it what has not been read: here not the request.
  for (let turn = 0; end === "reset" && socket.sent.length === 0 && turn < 100; turn++) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  if (end === "FIN") socket.push(null)
  else socket.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }))
}

const toListener = async (random: Random, { input, saw }: Notes): Promise<number> => {
  const place = await world()
  const halfClose = random.oneIn(2)
  const wire = Wire.conversation(random, true)
  const end = random.oneIn(6) ? "reset" : "FIN"
  const pieces = random.cut(wire)
  const seen: Seen = { bytes: [], ending: "none" }
  const over = new Promise<void>((resolve) => {
    place.plan = { late: random.pick([0, 0, 1, 5]), echo: random.oneIn(4), seen, closed: resolve }
  })
  place.events = []
  const { plan } = place
  const reading = Wire.read(wire, {
    fromClient: true,
    maxMessage: halfClose ? authenticatedMaxMessage : maxMessage
  })
  input(
    () =>
      `to ${halfClose ? "/half" : "/bare"}, ${plan?.echo ? "echoed" : "read"} after ${plan?.late} turns, ${end}: ${shows(pieces)()}`
  )

  const socket = new MemorySocket()
  socket.on("error", () => {})
  place.server.emit("connection", socket)
  const head = Buffer.from(request(halfClose ? "/half" : "/bare", place.host), "latin1")
  // The first frames may come with the request.
  const first = random.oneIn(3) ? [join([head, ...pieces.slice(0, 1)]), ...pieces.slice(1)] : [head, ...pieces]
  await feed(socket, random, first, end)
  await inTime(over, "a connection to the listener")
  place.plan = undefined

  const sent = split(join(socket.sent))
  check(sent.status === "HTTP/1.1 101", () => `answered ${sent.status}`)
  checkRead(seen, reading, !plan?.echo && end === "FIN")
  checkAnswers(sent.rest, reading)
  const events = place.events.map(({ _tag }) => _tag).join()
  check(events === "Connected,Closed", () => `the events ${events}`)
  saw(`listener: ${plan?.echo || end === "reset" ? "echo or reset" : seen.ending}`)
  return 1 + reading.frames
}

const badRequest = (random: Random, host: string): Uint8Array => {
  const right = Buffer.from(request(random.pick(["/bare", "/half", "/", "/none"]), host), "latin1")
  const lines = right.toString("latin1").split("\r\n")
  const odd = [
    "Sec-WebSocket-Version: 99",
    "Upgrade: h2c",
    "Connection: close",
    "Content-Length: 5",
    "Host: evil",
    ": x"
  ]
  lines.splice(
    random.below(lines.length),
    random.below(2),
    random.pick([...odd, "Origin: null", "Transfer-Encoding: chunked"])
  )
  return random.oneIn(2) ? random.mutate(right) : Buffer.from(lines.join("\r\n"), "latin1")
}

/** Whatever it is, the server answers or hangs up, and goes on. */
const toUpgrade = async (random: Random, { input, saw }: Notes): Promise<number> => {
  const place = await world()
  place.plan = { late: 0, echo: false, seen: { bytes: [], ending: "none" }, closed: () => {} }
  place.events = []
  const pieces = random.cut(badRequest(random, place.host))
  input(() => `request ${shows(pieces)()}`)
  const socket = new MemorySocket()
  socket.on("error", () => {})
  const over = new Promise<void>((resolve) => socket.once("close", resolve))
  place.server.emit("connection", socket)
  await feed(socket, random, pieces, random.oneIn(3) ? "reset" : "FIN")
  await inTime(over, "a request to upgrade")
  const { status } = split(join(socket.sent))
  check(status === "" || /^HTTP\/1\.1 \d{3}$/.test(status), () => `answered ${status}`)
  saw(`upgrade: ${status === "" ? "no answer" : status.slice(-3)}`)
  return 1
}

const accept = (head: string): string => {
  const key = /sec-websocket-key: (.*)\r\n/i.exec(head)?.[1] ?? ""
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
}

const toDialer = async (random: Random, { input, saw }: Notes): Promise<number> => {
  const place = await world()
  const halfClose = random.oneIn(2)
  const wire = Wire.conversation(random, false)
  const pieces = random.cut(wire)
  const broken = random.oneIn(5)
  const rules = { fromClient: false, maxMessage: halfClose ? authenticatedMaxMessage : maxMessage }
  const reading = Wire.read(wire, rules)
  input(() => `to a dialer, ${halfClose ? "half" : "bare"}${broken ? ", its answer changed" : ""}: ${shows(pieces)()}`)
  place.plan = undefined
  place.events = []
  place.liar.say = (socket) => {
    let head = ""
    const hear = (data: Uint8Array) => {
      head += Buffer.from(data).toString("latin1")
      if (!head.includes("\r\n\r\n")) return
      socket.off("data", hear).resume()
      const answer = Buffer.from(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept(head)}\r\n\r\n`,
        "latin1"
      )
      if (broken) return void socket.end(random.mutate(answer))
      socket.write(random.oneIn(2) ? join([answer, ...pieces]) : answer)
      if (socket.bytesWritten === answer.length) for (const piece of pieces) socket.write(piece)
      socket.end()
    }
    socket.on("data", hear)
  }
  const seen: Seen = { bytes: [], ending: "none" }
  const address = `ws://127.0.0.1:${place.liar.port}/x${halfClose ? "~nothing" : ""}`
  const exit = await inTime(
    place.dial(address, (connection) => readTo(seen, connection, () => Effect.void)),
    "a dial"
  )
  if (Exit.isFailure(exit)) {
    const error = Cause.findError(exit.cause)
    const tag = error._tag === "Success" ? endingOf(error.success) : "none"
    check(broken && tag !== "none", () => `the dial failed: ${Cause.pretty(exit.cause)}`)
    saw(`dialer: no connection (${tag})`)
    return 1
  }
  if (!broken) checkRead(seen, reading, true)
  saw(`dialer: ${broken ? "its answer changed" : seen.ending}`)
  return 1 + (broken ? 0 : reading.frames)
}

export const websocket: Fuzzer = {
  name: "websocket",
  reaches: [
    ...["clean end", "Reset", "ProtocolViolation", "Truncated"].map((ending) => `listener: ${ending}`),
    ...["dialer: clean end", "dialer: ProtocolViolation", "upgrade: 400"]
  ],
  run: (random, notes) => {
    switch (random.below(10)) {
      case 0:
      case 1:
        return toDialer(random, notes)
      case 2:
        return toUpgrade(random, notes)
      default:
        return toListener(random, notes)
    }
  },
  close: async () => {
    await (await current)?.close()
    current = undefined
  }
}
