/** One conversation: from an address to its end, through as many connections as it takes. */
import { Effect, Ref, Schedule, Stream } from "effect"
import * as Hex from "effect/encoding/Hex"
import { type Connection, Identity, Multiserver, Primitives } from "effect-multiserver/browser"
import { type Arriving, arrive, maxFile, messages, send, sendFile } from "./protocol.ts"
import { View } from "./view.ts"
import { explain, type Trouble } from "./words.ts"

/** How long to wait before the next dial, while nobody answers. */
const backoff = Schedule.min([Schedule.exponential("500 millis"), Schedule.spaced("4 seconds")])

const sha256 = (bytes: Uint8Array) =>
  Primitives.Primitives.useSync((primitives) => Hex.encode(primitives.sha256(bytes)))

/** Reads until the other side's goodbye. `expected` has the hashes of the files that were sent. */
const reading = (connection: Connection.Connection, expected: Array<string>) =>
  Effect.gen(function* () {
    const view = yield* View
    let arriving: Arriving | undefined
    let file = new Uint8Array()
    yield* Stream.runForEach(messages(connection), (message) =>
      Effect.gen(function* () {
        if (message._tag === "Text") return yield* view.say("peer", message.text)
        if (message._tag === "Received") {
          const isWhole = expected.shift() === message.sha256
          return yield* view.say("page", isWhole ? "Your file has arrived whole." : "Your file has arrived damaged.")
        }
        const { here, name, size } = yield* Effect.fromResult(arrive(arriving, message))
        arriving = { here, name, size }
        if (message._tag === "File") file = new Uint8Array(size)
        else file.set(message.bytes, here - message.bytes.length)
        yield* view.progress({ way: "receiving", name, done: here, size })
        if (here < size) return
        yield* send(connection, { _tag: "Received", sha256: yield* sha256(file) })
        yield* view.offer(name, file)
      })
    )
  })

/** Sends what the user writes and chooses. */
const writing = (connection: Connection.Connection, expected: Array<string>) =>
  Effect.gen(function* () {
    const view = yield* View
    const texts = Stream.runForEach(view.texts, (text) =>
      Effect.andThen(send(connection, { _tag: "Text", text }), view.say("you", text))
    )
    const files = Stream.runForEach(view.files, (file) =>
      Effect.gen(function* () {
        if (file.size > maxFile) return yield* view.say("page", `${file.name} is too large: at most 8 MiB.`)
        const read = yield* Effect.option(Effect.tryPromise(() => file.arrayBuffer()))
        if (read._tag === "None") return yield* view.say("page", `${file.name} can't be read.`)
        const bytes = new Uint8Array(read.value)
        expected.push(yield* sha256(bytes))
        const name = file.name.slice(0, 255)
        yield* sendFile(connection, name, bytes, (done) =>
          view.progress({ way: "sending", name, done, size: bytes.length })
        )
        yield* view.say("you", `sent ${name}`)
      })
    )
    yield* Effect.all([texts, files], { concurrency: "unbounded" })
  })

/** Shows why, and that it is tried again. */
const waiting = (error: Trouble) =>
  View.use((view) =>
    Multiserver.isRetryable(error)
      ? view.status({ _tag: "Waiting", why: explain(error), detail: error.message })
      : Effect.void
  )

/** Talks with the peer at this address until one side leaves. What can be tried again is tried again. */
export const conversation = (address: string) =>
  Effect.gen(function* () {
    const view = yield* View
    // What still waits was meant for the other side of the conversation before.
    yield* view.forget
    const isOpen = yield* Ref.make(false)
    const dialing = Effect.andThen(view.status({ _tag: "Connecting" }), Multiserver.dial(address)).pipe(
      Effect.tapError(waiting),
      Effect.retry({ while: Multiserver.isRetryable, schedule: backoff })
    )
    const talking = Effect.gen(function* () {
      const connection = yield* dialing
      yield* Ref.set(isOpen, true)
      const { peer } = connection
      const key = peer._tag === "Authenticated" ? Identity.formatPublicKey(peer.publicKey) : "somebody without a key"
      yield* view.status({ _tag: "Connected", key })
      const expected: Array<string> = []
      const talk = Effect.raceFirst(reading(connection, expected), writing(connection, expected))
      // Who leaves does it in order: the scope closes after success, and says goodbye.
      yield* Effect.raceFirst(talk, view.leaving)
    }).pipe(Effect.scoped, Effect.ensuring(Ref.set(isOpen, false)))
    const again = Effect.retry(Effect.tapError(talking, waiting), {
      while: Multiserver.isRetryable,
      schedule: Schedule.spaced("1 second")
    })
    /** Leaves while no connection is open. */
    const left = Effect.flatMap(view.leaving, () =>
      Effect.flatMap(Ref.get(isOpen), (open) => (open ? Effect.never : Effect.void))
    )
    yield* Effect.raceFirst(again, left).pipe(
      Effect.matchEffect({
        onFailure: (error) => view.status({ _tag: "Failed", why: explain(error), detail: error.message }),
        onSuccess: () => view.status({ _tag: "Ended" })
      })
    )
  })
