/** The page: its identity, and one conversation at a time, with the peer whose address it is given. */
import { Effect, Layer, Stream } from "effect"
import { BrowserIdentity, BrowserMultiserver, Identity, Noble } from "effect-multiserver/browser"
import { conversation } from "./conversation.ts"
import * as View from "./view.ts"
import { explain } from "./words.ts"

/** The platform's WebSocket, which tells when it is open: what follows is the handshake. */
const watched = (onOpen: () => void) =>
  class extends WebSocket {
    constructor(url: string) {
      super(url)
      this.addEventListener("open", onOpen)
    }
  }

const Speaks = Layer.unwrap(
  View.View.useSync((view) =>
    BrowserMultiserver.layer({
      webSocket: { WebSocket: watched(() => Effect.runSync(view.status({ _tag: "Handshake" }))) }
    })
  )
)

const program = Effect.gen(function* () {
  const view = yield* View.View
  const { publicKey } = yield* Identity.Identity
  yield* view.ownKey(Identity.formatPublicKey(publicKey))
  yield* Stream.runForEach(view.addresses, conversation)
}).pipe(
  Effect.provide(Speaks),
  Effect.provide(BrowserIdentity.layerStoredOrCreate()),
  Effect.catchTag("IdentityError", (error) =>
    View.View.use((view) => view.status({ _tag: "Failed", why: explain(error), detail: error.message }))
  ),
  Effect.provide([View.layer, Noble.layer])
)

Effect.runFork(program)
