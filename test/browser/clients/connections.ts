/** A page that tests of connections drive: each function is one thing that a page does, and says how it went. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Schedule from "effect/Schedule"
import type { ConnectionError, DialError } from "effect-multiserver/browser"
import {
  BrowserMultiserver,
  BrowserWebSocket,
  Connection,
  Identity,
  MessagePorts,
  Multiserver,
  Noauth,
  Noble,
  NobleKem,
  Noise
} from "effect-multiserver/browser"
import { hexOf, piece, pieceBytes, watchFaults } from "./pieces.ts"

const faults = watchFaults()

/** The page's sockets, so that what waits in them can be seen. */
const sockets: Array<WebSocket> = []
class Seen extends WebSocket {
  constructor(url: string) {
    super(url)
    sockets.push(this)
  }
}

/** Started when it is needed. */
let started: Worker | undefined
const worker = (): Worker => {
  started ??= new Worker("/worker.js")
  return started
}

/** Asks the worker for one of the things that it keeps. */
const ask = (what: string) =>
  new Promise<unknown>((resolve) => {
    const onAnswer = ({ data }: MessageEvent) => {
      if (data?.told !== what) return
      worker().removeEventListener("message", onAnswer)
      resolve(data.answer)
    }
    worker().addEventListener("message", onAnswer)
    worker().postMessage({ tell: what })
  })

const page = ManagedRuntime.make(
  BrowserMultiserver.layerPostQuantumNoDeps({ webSocket: { WebSocket: Seen } }).pipe(
    Layer.provide([Identity.layerEphemeral, NobleKem.layer]),
    Layer.provide(Noble.layer)
  )
)

/** Without a handshake: to a bridge, or to count what waits where. */
const bare = ManagedRuntime.make(
  Multiserver.layerDialOnly(["ws", "ws~noauth"]).pipe(
    Layer.provide([BrowserWebSocket.layer({ WebSocket: Seen }), Noauth.layer()])
  )
)

/** To the worker. */
const Ports = Layer.suspend(() =>
  Multiserver.layerDialOnly(["port", "port~noise"]).pipe(
    Layer.provide([MessagePorts.layer({ ports: { echo: worker(), relay: worker() } }), Noise.layer()]),
    Layer.provide(Identity.layerEphemeral),
    Layer.provide(Noble.layer)
  )
)
const ports = ManagedRuntime.make(Ports)

/** A number that grows while a task runs, and that a test can wait for. */
const counter = () => {
  let now = 0
  const waiting = new Set<() => void>()
  return {
    add: (more: number) => {
      now += more
      for (const look of waiting) look()
    },
    reset: () => {
      now = 0
    },
    now: () => now,
    atLeast: (value: number) =>
      new Promise<void>((resolve) => {
        const look = () => {
          if (now < value) return
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        look()
      })
  }
}
/** Bytes that were read, bytes that were written, and dials that failed. */
const [carried, written, refusals] = [counter(), counter(), counter()]
let isStopped = false

const reasonOf = (error: DialError.DialError | { readonly _tag: string; readonly message: string }) => {
  if (!("reason" in error)) return { tag: error._tag, message: error.message, isRetryable: false }
  const { message, reason } = error
  const tag = reason._tag === "HandshakeError" ? `HandshakeError: ${reason.reason._tag}` : reason._tag
  return { tag, message, isRetryable: reason.isRetryable }
}

/** Reads to the end, or so much. */
const read = (connection: Connection.Connection, each: (chunk: Uint8Array) => void, most = Infinity) =>
  Effect.suspend(() => {
    let bytes = 0
    return connection.pull.pipe(
      Effect.map((chunks) => {
        for (const chunk of chunks) {
          bytes += chunk.length
          each(chunk)
        }
      }),
      Effect.repeat({ while: () => bytes < most }),
      Effect.catchIf(Cause.isDone, () => Effect.void)
    )
  })

/** Reads to the end, or so much, and says how much that was and its hash. */
const digest = (connection: Connection.Connection, most?: number) =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    const collect = (chunk: Uint8Array) => {
      chunks.push(chunk)
      carried.add(chunk.length)
    }
    return Effect.map(read(connection, collect, most), () => chunks)
  }).pipe(
    Effect.flatMap((chunks) => Effect.promise(() => new Blob(chunks as Array<Uint8Array<ArrayBuffer>>).arrayBuffer())),
    Effect.flatMap((all) =>
      Effect.map(
        Effect.promise(() => crypto.subtle.digest("SHA-256", all)),
        (hash) => ({ bytes: all.byteLength, sha256: hexOf(new Uint8Array(hash)) })
      )
    )
  )

/** Writes so much. */
const send = Effect.fnUntraced(function* (connection: Connection.Connection, bytes: number) {
  for (let at = 0; at < bytes; at += pieceBytes) yield* connection.write(piece(at).subarray(0, bytes - at))
})

/** Each side ends when it has written. What came back. */
const exchange = (connection: Connection.Connection, bytes: number) =>
  Effect.all([digest(connection), Effect.andThen(send(connection, bytes), connection.end)], { concurrency: 2 }).pipe(
    Effect.map(([received]) => received)
  )

const tagOf = ({ reason }: ConnectionError.ConnectionError) => ({ tag: reason._tag, isRetryable: reason.isRetryable })

const dialed = <A, E>(
  address: string,
  use: (connection: Connection.Connection) => Effect.Effect<A, E>
): Effect.Effect<A, unknown, Multiserver.Multiserver> => Effect.scoped(Effect.flatMap(Multiserver.dial(address), use))

/** Both ways at once, as long as the connection lasts. How each of them ended. */
const untilBroken = (connection: Connection.Connection) =>
  Effect.gen(function* () {
    const reading = yield* Effect.forkChild(Effect.flip(read(connection, ({ length }) => carried.add(length))))
    const writing = yield* Effect.forkChild(Effect.flip(Effect.forever(connection.write(piece(0)))))
    const ends = [yield* Fiber.join(reading), yield* Fiber.join(writing)].map(tagOf)
    return { ends, closed: (yield* connection.closed).tag }
  })

const tasks = {
  echo: (address: string, bytes: number) => page.runPromise(dialed(address, (made) => exchange(made, bytes))),

  /** As much each way. A stack that does not authenticate has no half close, so that the end comes last. */
  swap: (address: string, bytes: number) =>
    bare.runPromise(
      dialed(address, (made) =>
        Effect.all([digest(made, bytes), send(made, bytes)], { concurrency: 2 }).pipe(
          Effect.tap(() => made.end),
          Effect.map(([received]) => received)
        )
      )
    ),

  refusal: (address: string) =>
    page.runPromise(Effect.map(Effect.flip(Effect.scoped(Multiserver.dial(address))), reasonOf)),

  /** The transfer is broken; then the page dials again until it comes through. */
  survive: (address: string, bytes: number) =>
    page.runPromise(
      Effect.gen(function* () {
        const broken = yield* dialed(address, untilBroken)
        const received = yield* Multiserver.dial(address).pipe(
          Effect.tapError(() => Effect.sync(() => refusals.add(1))),
          Effect.retry({ while: Multiserver.isRetryable, schedule: Schedule.spaced("50 millis") }),
          Effect.flatMap((made) => exchange(made, bytes)),
          Effect.scoped
        )
        return { broken, received }
      })
    ),

  /** Dials, and reads nothing until the connection is over; then what is there. */
  unread: (address: string) =>
    page.runPromise(
      dialed(address, (made) =>
        Effect.gen(function* () {
          const { failure, tag } = yield* made.closed
          let bytes = 0
          const count = ({ length }: Uint8Array) => {
            bytes += length
          }
          const error = yield* Effect.flip(read(made, count))
          return { tag, message: String(failure?.message), bytes, read: tagOf(error) }
        })
      )
    ),

  /** Writes until it is stopped, or so much is written. */
  flood: (address: string, bytes: number) =>
    bare.runPromise(
      dialed(address, (made) =>
        Effect.gen(function* () {
          while (!isStopped && written.now() < bytes) {
            yield* made.write(piece(0))
            written.add(pieceBytes)
          }
          yield* made.end
          return written.now()
        })
      )
    ),

  /** Noise between the page and its worker, whose key the page knows. */
  throughWorker: (bytes: number) =>
    ports.runPromise(
      Effect.gen(function* () {
        const key = yield* Effect.promise(() => ask("key"))
        return yield* dialed(`port:echo~noise:${key}`, (made) =>
          Effect.map(exchange(made, bytes), (received) => ({ received, peer: made.peer._tag }))
        )
      })
    ),

  /** The worker is terminated in the middle of a transfer, and the connection broken off by hand. */
  terminate: () =>
    ports.runPromise(
      Effect.gen(function* () {
        const key = yield* Effect.promise(() => ask("key"))
        const made = yield* Multiserver.dial(`port:echo~noise:${key}`)
        const breaking = yield* Effect.forkChild(untilBroken(made))
        yield* Effect.promise(() => carried.atLeast(1024 * 1024))
        worker().terminate()
        started = undefined
        yield* Connection.destroy(made)
        return yield* Fiber.join(breaking)
      }).pipe(Effect.scoped)
    ),

  /** The worker dials, and hands its chunks on. */
  fromWorker: (address: string) => {
    worker().postMessage({ dial: address })
    return ports.runPromise(dialed("port:relay", (made) => digest(made)))
  }
}

/** What is under way. */
const running = new Map<string, Promise<unknown>>()

/** The page as its test sees it. */
const driven = {
  ...tasks,
  /** Leaves a task under way. How it went, `join` says. */
  start: <Name extends keyof typeof tasks>(name: Name, ...args: Parameters<(typeof tasks)[Name]>) => {
    for (const each of [carried, written, refusals]) each.reset()
    const task = tasks[name] as (...all: typeof args) => Promise<unknown>
    const outcome = task(...args)
    outcome.catch(() => {})
    running.set(name, outcome)
  },
  join: (name: keyof typeof tasks) => running.get(name),
  carried: carried.atLeast,
  refusals: refusals.atLeast,
  written: written.now,
  stop: () => {
    isStopped = true
  },
  /** Until so much waits in the socket that its writer has to wait too, and nothing more is written. */
  full: () =>
    new Promise<void>((resolve) => {
      let before = -1
      let still = 0
      const look = () => {
        const isFull = (sockets.at(-1)?.bufferedAmount ?? 0) >= 1024 * 1024
        still = isFull && written.now() === before ? still + 1 : 0
        before = written.now()
        if (still < 50) setTimeout(look, 4)
        else resolve()
      }
      look()
    }),
  /** What went wrong unseen, here and in the worker. */
  faults: () => Promise.all([faults, started === undefined ? [] : ask("faults")]).then((all) => all.flat()),
  ask,
  visibility: () => document.visibilityState
}
export type Driven = typeof driven

Object.assign(globalThis, { driven })
