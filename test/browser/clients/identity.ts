/** A page with an identity: it shows its key, and exports its secret file. */
import * as Effect from "effect/Effect"
import { BrowserIdentity, Identity } from "effect-multiserver/browser"

const own = (options?: BrowserIdentity.Options): Promise<string> =>
  Identity.Identity.pipe(
    Effect.map(Identity.formatSecretFile),
    Effect.provide(BrowserIdentity.layerStoredOrCreate(options), { local: true }),
    Effect.catch(({ message }) => Effect.succeed(message)),
    Effect.runPromise
  )

Object.assign(globalThis, { own })
