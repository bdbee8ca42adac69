import { Console, Effect, Layer, Stream } from "effect"
import { BrowserIdentity, BrowserMultiserver, Connection, Multiserver } from "effect-multiserver/browser"

const program = Effect.gen(function* () {
  const desktop = yield* Multiserver.dial("ws://127.0.0.1:8989~shs:KEY")
  yield* desktop.write(new TextEncoder().encode("hello from a page"))
  yield* desktop.end
  yield* Connection.stream(desktop).pipe(Stream.decodeText, Stream.runForEach(Console.log))
})
const Page = BrowserMultiserver.layer().pipe(Layer.provide(BrowserIdentity.layerEphemeral))
Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Page)))
