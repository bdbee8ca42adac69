/** A page's worker: it echoes over noise, and dials for the page and hands on what comes. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import {
  BrowserWebSocket,
  Connection,
  Identity,
  MessagePorts,
  Multiserver,
  Noble,
  Noise,
  Shs
} from "effect-multiserver/browser"
import { watchFaults } from "./pieces.ts"

/** The compiler has a page's types. To a worker, its own scope posts and hears as a `Worker` does to a page. */
declare const self: Worker

const faults = watchFaults()

const Live = Multiserver.layer(["port", "port~noise", "ws~shs", "ws"]).pipe(
  Layer.provide([
    MessagePorts.layer({ ports: { echo: self, relay: self } }),
    BrowserWebSocket.layer(),
    Noise.layer(),
    Shs.layer()
  ]),
  Layer.provideMerge(Identity.layerEphemeral),
  Layer.provide(Noble.layer)
)

const echo = ({ end, pull, writeAll }: Connection.Connection) =>
  pull.pipe(
    Effect.flatMap(writeAll),
    Effect.forever({ disableYield: true }),
    Effect.catchIf(Cause.isDone, () => end)
  )

/** Whom the page wants to reach. It says so before it dials. */
let address = ""

/** How many chunks were handed on, and how many of them this side has no more. */
const chunks = { handed: 0, moved: 0 }
export type Chunks = typeof chunks

const relay = (own: Connection.Connection) =>
  Effect.gen(function* () {
    const far = yield* Multiserver.dial(address)
    yield* far.pull.pipe(
      Effect.flatMap((batch) =>
        Effect.map(Connection.give(own, batch), () => {
          chunks.handed += batch.length
          chunks.moved += batch.filter(({ length }) => length === 0).length
        })
      ),
      Effect.forever({ disableYield: true }),
      Effect.catchIf(Cause.isDone, () => own.end)
    )
  }).pipe(Effect.scoped)

self.addEventListener("message", ({ data }) => {
  if (data?.dial === undefined) return
  address = data.dial
  Object.assign(chunks, { handed: 0, moved: 0 })
})

Effect.gen(function* () {
  const { publicKey } = yield* Identity.Identity
  const kept: Readonly<Record<string, unknown>> = { key: Identity.formatPublicKey(publicKey), faults, chunks }
  self.addEventListener("message", ({ data }) => {
    if (data?.tell !== undefined) self.postMessage({ told: data.tell, answer: kept[data.tell] })
  })
  yield* Effect.all([Multiserver.serve("port:echo~noise", echo), Multiserver.serve("port:relay", relay)], {
    concurrency: 2,
    discard: true
  })
}).pipe(Effect.provide(Live), Effect.runFork)
