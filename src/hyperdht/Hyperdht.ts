/**
 * A source for `Lookup` in hyperdht, the public distributed hash table of Hyperswarm. It needs the package `hyperdht`.
 *
 * Its nodes are strangers. **To look a peer up tells them which key is looked for, and by which IP. To publish tells
 * them the key of `Identity`, this program's addresses and its IP.** So nothing uses it by default, and a source of it
 * publishes only when it is told to. What else that means: docs/lookup-hyperdht.md.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { Primitives } from "../crypto/Primitives.ts"
import { formatPublicKey, Identity } from "../Identity.ts"
import { type Offer, type Source, SourceError } from "../Lookup.ts"
import type { HyperdhtError } from "./errors.ts"
import { call, make, Refused } from "./node.ts"

export { HyperdhtError } from "./errors.ts"

/**
 * How the DHT is used.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The first nodes that are asked, each `HOST:PORT`. By default those that hyperdht names, which anybody uses. */
  readonly bootstrap?: ReadonlyArray<string>
  /** Whether this program's own records are published. By default `false`: peers are looked up, and no more. */
  readonly publish?: boolean
  /** The IPv4 of the node's sockets. By default `0.0.0.0`, each interface. */
  readonly host?: string
  /** How many questions are under way at the same time. More wait. By default 8. */
  readonly questions?: number
}

const name = "hyperdht"

/** What hyperdht asks to be signed for a value is the name of its purpose and a hash, 32 bytes each. */
const signedLength = 64

const nobody = "no node has answered; is there a network, and do the bootstrap nodes still run?"

/**
 * A source in hyperdht, with a node of its own as long as the scope. A record is kept there as the one mutable value of
 * its key, for which the signature of that key is needed. It is given to about 20 nodes, which keep it for 48 hours.
 *
 * @category constructors
 * @since 0.1.0
 */
export const source = ({
  bootstrap,
  host = "0.0.0.0",
  publish = false,
  questions = 8
}: Options = {}): Effect.Effect<Source, HyperdhtError, Identity | Primitives | Scope.Scope> =>
  Effect.gen(function* () {
    if (!Number.isSafeInteger(questions) || questions < 1) {
      return yield* Effect.die(new RangeError(`questions: expected 1 or more, not ${questions}`))
    }
    const identity = yield* Identity
    const primitives = yield* Primitives
    const node = yield* make({ bootstrap, host })
    const places = Semaphore.makeUnsafe(questions)

    const failed = ({ answered, cause }: { readonly cause: unknown; readonly answered: number }): SourceError => {
      const detail = answered === 0 ? nobody : cause instanceof Error ? cause.message : "the question failed"
      return new SourceError({ source: name, detail, isRetryable: !(cause instanceof Refused), cause })
    }
    const ask = <A>(run: Parameters<typeof call<A>>[0]) => places.withPermits(1)(Effect.mapError(call(run), failed))

    const find: Source["find"] = (key) =>
      Stream.fromIterableEffect(
        Effect.flatMap(
          ask((begun) => node.mutableGet(key, { ...begun, latest: true })),
          ([found, answered]): Effect.Effect<ReadonlyArray<Offer>, SourceError> => {
            if (found !== null) return Effect.succeed([{ _tag: "Signed", bytes: new Uint8Array(found.value) }])
            if (answered > 0) return Effect.succeed([])
            return Effect.fail(new SourceError({ source: name, detail: nobody, isRetryable: true }))
          }
        )
      )
    if (!publish) return { name, find }

    const signer = {
      publicKey: identity.publicKey,
      sign: (message: Uint8Array) => {
        if (message.length !== signedLength) return Promise.reject(new Error("what is to be signed is no value"))
        return primitives.sign(message, Redacted.value(identity.secretKey)).slice()
      }
    }
    const give: NonNullable<Source["publish"]> = ({ bytes, publicKey, sequence }) => {
      if (formatPublicKey(publicKey) === formatPublicKey(identity.publicKey)) {
        return Effect.asVoid(ask((begun) => node.mutablePut(signer, bytes, { ...begun, seq: sequence })))
      }
      const detail = "the record is not of the key of Identity, with which this source was made"
      return Effect.fail(new SourceError({ source: name, detail, isRetryable: false }))
    }
    return { name, find, publish: give }
  })
