/**
 * The identity of a web page: layers that need no `Primitives`, because they bring `Noble.layer` themselves. A key in
 * IndexedDB is only as safe as its origin: every script of that origin can read it, and the browser or its user may
 * remove it (docs/browser.md). `Identity.formatSecretFile` exports an identity as SSB's secret file.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Noble from "./crypto/Noble.ts"
import type { Primitives } from "./crypto/Primitives.ts"
import * as Identity from "./Identity.ts"
import { printable, textOf } from "./printable.ts"
import { FileFailure } from "./privateFile.ts"

/**
 * Where an identity is kept.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The database of the origin. By default `effect-multiserver`. */
  readonly database?: string
  /** The name of the identity in it, for pages that have several. By default `default`. */
  readonly name?: string
}

/**
 * A new random identity, which is lost when the layer is released.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerEphemeral: Layer.Layer<Identity.Identity> = Layer.provide(Identity.layerEphemeral, Noble.layer)

const storeName = "identities"

/** Runs what may throw, such as `open` where storage is forbidden. */
const attempt = (run: () => void, failed: (error: unknown) => void): void => {
  try {
    run()
  } catch (error) {
    failed(error)
  }
}

/**
 * The text that is stored under `name`, or `fresh` when that is stored now. It is one transaction, so two tabs that
 * begin at once get the same text.
 */
const storedOr = (database: string, name: string, fresh: string): Effect.Effect<string, FileFailure> =>
  Effect.callback((resume) => {
    let open: IDBDatabase | undefined
    const fail = (error: unknown): void => {
      open?.close()
      const kind = error instanceof Error || error instanceof DOMException ? error.name : "Unknown"
      resume(Effect.fail(new FileFailure({ kind, detail: `IndexedDB: ${printable(textOf(error))}` })))
    }
    attempt(() => {
      const opening = indexedDB.open(database, 1)
      opening.onupgradeneeded = () => opening.result.createObjectStore(storeName)
      opening.onerror = () => fail(opening.error)
      opening.onblocked = () => fail(new Error("another tab has an older version open"))
      opening.onsuccess = () => {
        open = opening.result
        attempt(() => {
          const transaction = opening.result.transaction(storeName, "readwrite", { durability: "strict" })
          const store = transaction.objectStore(storeName)
          const found = store.get(name)
          let text = fresh
          found.onsuccess = () =>
            attempt(() => {
              if (found.result === undefined) store.add(fresh, name)
              else text = String(found.result)
            }, fail)
          transaction.onabort = () => fail(transaction.error)
          transaction.oncomplete = () => {
            opening.result.close()
            resume(Effect.succeed(text))
          }
        }, fail)
      }
    }, fail)
  })

const load = ({
  database = "effect-multiserver",
  name = "default"
}: Options): Effect.Effect<Identity.KeyPair, Identity.IdentityError, Primitives> =>
  Effect.gen(function* () {
    const source = `${name} in IndexedDB ${database}`
    const fresh = Identity.formatSecretFile(yield* Identity.generate)
    const text = yield* Effect.mapError(
      storedOr(database, name, fresh),
      (reason) => new Identity.IdentityError({ source, reason })
    )
    return yield* Identity.parseSecretFile(source, text)
  })

/**
 * The identity in IndexedDB. If there is none, makes a new one and keeps it there. Fails with `IdentityError` where the
 * platform has no IndexedDB, forbids it, or has no room, and when what is stored is no secret file.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStoredOrCreate = (options: Options = {}): Layer.Layer<Identity.Identity, Identity.IdentityError> =>
  Layer.effect(Identity.Identity, load(options)).pipe(Layer.provide(Noble.layer))
