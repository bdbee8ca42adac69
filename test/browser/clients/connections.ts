/** A page that tests of connections drive: each function is one thing that a page does, and says how it went. */
import { sha256 } from "@noble/hashes/sha2.js"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Schedule from "effect/Schedule"
import type { Connection, ConnectionError, DialError } from "effect-multiserver/browser"
import {
  BrowserMultiserver,
  BrowserWebSocket,
  Identity,
  MessagePorts,
  Multiserver,
  Noauth,
  Noble,
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
  BrowserMultiserver.layerNoDeps({ webSocket: { WebSocket: Seen } }).pipe(
    Layer.provide(Identity.layerEphemeral),
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

const reasonOf = (error: DialError.DialError | { readonly _tag: string; readonly message: string }) => {
  if (!("reason" in error)) return { tag: error._tag, message: error.message, isRetryable: false }
  const { message, reason } = error
  const tag = reason._tag === "HandshakeError" ? `HandshakeError: ${reason.reason._tag}` : reason._tag
  return { tag, message, isRetryable: reason.isRetryable }
}

/** Reads to the end, or so much, and says how much that was and its hash. */
const digest = (connection: Connection.Connection, each: (bytes: number) => void = () => {}, most = Infinity) =>
  Effect.suspend(() => {
    const hash = sha256.create()
    let bytes = 0
    return connection.pull.pipe(
      Effect.map((chunks) => {
        for (const chunk of chunks) {
          hash.update(chunk)
          bytes += chunk.length
        }
        each(bytes)
      }),
      Effect.repeat({ while: () => bytes < most }),
      Effect.catchIf(Cause.isDone, () => Effect.void),
      Effect.map(() => ({ bytes, sha256: hexOf(hash.digest()) }))
    )
  })

/** Writes so much. */
const send = (connection: Connection.Connection, bytes: number) =>
  Effect.gen(function* () {
    const hash = sha256.create()
    for (let at = 0; at < bytes; at += pieceBytes) {
      const chunk = piece(at).subarray(0, bytes - at)
      hash.update(chunk)
      yield* connection.write(chunk)
    }
    return { bytes, sha256: hexOf(hash.digest()) }
  })

/** Each side ends when it has written. */
const exchange = (connection: Connection.Connection, bytes: number) =>
  Effect.all(
    { sent: Effect.tap(send(connection, bytes), () => connection.end), received: digest(connection) },
    { concurrency: 2 }
  )

const tagOf = ({ reason }: ConnectionError.ConnectionError) => ({ tag: reason._tag, isRetryable: reason.isRetryable })

const dialed = <A, E>(
  address: string,
  use: (connection: Connection.Connection) => Effect.Effect<A, E>
): Effect.Effect<A, unknown, Multiserver.Multiserver> => Effect.scoped(Effect.flatMap(Multiserver.dial(address), use))

/** Both ways at once, as long as the connection lasts. How each of them ended. */
const untilBroken = (connection: Connection.Connection, carried: (bytes: number) => void) =>
  Effect.gen(function* () {
    const reading = yield* Effect.forkChild(Effect.flip(digest(connection, carried)))
    const writing = yield* Effect.forkChild(
      Effect.flip(Effect.forever(Effect.suspend(() => connection.write(piece(0)))))
    )
    const ends = [yield* Fiber.join(reading), yield* Fiber.join(writing)].map(tagOf)
    return { ends, closed: (yield* connection.closed).tag }
  })

/** Waits for a number that only grows. */
const counter = () => {
  let now = 0
  const waiting = new Set<() => void>()
  return {
    set: (value: number) => {
      now = value
      for (const look of waiting) look()
    },
    now: () => now,
    atLeast: (value: number) =>
      new Promise<number>((resolve) => {
        const look = () => {
          if (now < value) return
          waiting.delete(look)
          resolve(now)
        }
        waiting.add(look)
        look()
      })
  }
}

/** What is under way, by a name that the test gives. */
const running = new Map<string, Promise<unknown>>()
const carried = counter()
const written = counter()
const waits = counter()
let isStopped = false

const tasks = {
  echo: (address: string, bytes: number) => page.runPromise(dialed(address, (made) => exchange(made, bytes))),

  /** As much each way. A stack that does not authenticate has no half close, so that the end comes last. */
  swap: (address: string, bytes: number) =>
    bare.runPromise(
      dialed(address, (made) =>
        Effect.tap(
          Effect.all({ sent: send(made, bytes), received: digest(made, carried.set, bytes) }, { concurrency: 2 }),
          () => made.end
        )
      )
    ),

  refusal: (address: string) =>
    page.runPromise(Effect.map(Effect.flip(Effect.scoped(Multiserver.dial(address))), reasonOf)),

  /** The transfer is broken; then the page dials again until it comes through. */
  survive: (address: string, bytes: number) =>
    page.runPromise(
      Effect.gen(function* () {
        const broken = yield* dialed(address, (made) => untilBroken(made, carried.set))
        let refusals = 0
        const again = yield* Effect.scoped(
          Multiserver.dial(address).pipe(
            Effect.tapError(() => Effect.sync(() => waits.set(++refusals))),
            Effect.retry({
              while: Multiserver.isRetryable,
              schedule: Schedule.spaced("50 millis")
            }),
            Effect.flatMap((made) => exchange(made, bytes))
          )
        )
        return { broken, again, refusals }
      })
    ),

  /** Dials, and reads nothing until the connection is over; then what is there. */
  unread: (address: string) =>
    page.runPromise(
      dialed(address, (made) =>
        Effect.gen(function* () {
          const { tag, failure } = yield* made.closed
          let bytes = 0
          const error = yield* Effect.flip(digest(made, (read) => (bytes = read)))
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
            written.set(written.now() + pieceBytes)
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
          Effect.map(exchange(made, bytes), (went) => ({ ...went, peer: made.peer._tag }))
        )
      })
    ),

  /** The worker dials, and hands its chunks on. */
  fromWorker: (address: string) => {
    worker().postMessage({ dial: address })
    return ports.runPromise(dialed("port:relay", (made) => digest(made)))
  }
}

/** The page as its test sees it. `start` leaves a task under way, `join` is how it went. */
const driven = {
  ...tasks,
  start: <Name extends keyof typeof tasks>(name: Name, ...args: Parameters<(typeof tasks)[Name]>) => {
    const task = tasks[name] as (...all: typeof args) => Promise<unknown>
    const outcome = task(...args)
    // It is `join` that says it.
    outcome.catch(() => {})
    running.set(name, outcome)
  },
  join: (name: keyof typeof tasks) => running.get(name),
  carried: carried.atLeast,
  refusals: waits.atLeast,
  written: written.now,
  stop: () => {
    isStopped = true
  },
  /** Until so much waits in a socket that its writer has to wait too, and nothing more is written. */
  full: () =>
    new Promise<void>((resolve) => {
      let before = -1
      let still = 0
      const look = () => {
        const isFull = sockets.some(({ bufferedAmount }) => bufferedAmount >= 1024 * 1024)
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
