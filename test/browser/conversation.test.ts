/** A conversation of examples/chat, with a user whom the test plays. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { conversation } from "../../examples/chat/conversation.ts"
import * as Protocol from "../../examples/chat/protocol.ts"
import { type Status, View } from "../../examples/chat/view.ts"
import * as Noble from "../../src/crypto/Noble.ts"
import { multiserver, served, turns, until } from "../support/servers.ts"

/** A page without a document: what it shows, and what its user does. */
const played = Effect.gen(function* () {
  const texts = yield* Queue.unbounded<string>()
  const files = yield* Queue.unbounded<File>()
  const leaves = yield* Queue.unbounded<void>()
  const shown = { status: "Idle" as Status["_tag"], sent: 0 }
  const view = View.of({
    ownKey: () => Effect.void,
    status: ({ _tag }) =>
      Effect.sync(() => {
        shown.status = _tag
      }),
    say: () => Effect.void,
    progress: ({ done }) =>
      Effect.sync(() => {
        shown.sent = done
      }),
    offer: () => Effect.void,
    addresses: Stream.empty,
    texts: Stream.fromQueue(texts),
    files: Stream.fromQueue(files),
    forget: Effect.andThen(Queue.clear(texts), Queue.clear(files)),
    leaving: Queue.take(leaves)
  })
  return { view, texts, files, leaves, shown }
})

describe("a conversation", () => {
  it.live("sends nothing that was meant for the other side of the one before", () =>
    Effect.gen(function* () {
      const { files, leaves, shown, texts, view } = yield* played
      const [first] = yield* served("memory:first", () => Effect.never)
      const got = yield* Deferred.make<ReadonlyArray<Protocol.Message>>()
      const [second] = yield* served("memory:second", (page) =>
        Protocol.messages(page).pipe(
          Stream.takeUntil(({ _tag }) => _tag === "Text"),
          Stream.runCollect,
          Effect.flatMap((all) => Deferred.succeed(got, all))
        )
      )
      const talks = (address: unknown) =>
        Effect.gen(function* () {
          const talking = yield* Effect.forkChild(Effect.provideService(conversation(String(address)), View, view), {
            startImmediately: true
          })
          yield* until(() => shown.status === "Connected")
          return talking
        })
      const before = yield* talks(first)
      Queue.offerUnsafe(files, new File([new Uint8Array(Protocol.maxFile)], "large"))
      yield* until(() => shown.sent > 0)
      Queue.offerUnsafe(files, new File(["secret"], "for the first only"))
      Queue.offerUnsafe(leaves, undefined)
      yield* Fiber.join(before)

      const after = yield* talks(second)
      yield* turns
      Queue.offerUnsafe(texts, "hello")
      assert.deepStrictEqual(yield* Deferred.await(got), [{ _tag: "Text", text: "hello" }])
      yield* Fiber.interrupt(after)
    }).pipe(Effect.scoped, Effect.provide([multiserver(), Noble.layer]))
  )
})
