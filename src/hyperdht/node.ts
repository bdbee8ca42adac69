/** A node of the DHT whose questions can be given up, and which tells when all have refused what they were given. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import HyperDHT, { type Query, type QueryOptions, type Reply } from "hyperdht"
import { HyperdhtError } from "./errors.ts"

/** Hears of the query that a call has begun. */
interface Begun {
  readonly onQuery?: (query: Query) => void
  readonly retries?: number
}

/** With its default of 5, a question without an answer takes 12 seconds, longer than `Lookup` waits. With 2 it is 6. */
const retries = 2

/** All nodes have refused what they were given. `code` is hyperdht's: 17 says that a newer value is there. */
export class Refused extends Error {
  readonly code: number

  constructor(code: number) {
    super(`the nodes refuse it (code ${code})`)
    this.code = code
  }
}

const accepted = (reply: Reply | null): Reply | null | Promise<never> =>
  reply !== null && reply.error !== 0 ? Promise.reject(new Refused(reply.error)) : reply

/**
 * hyperdht's `mutableGet` and `mutablePut` return promises that can't be cancelled, and take a reply that refuses for
 * one that accepts. Both hand their options to `query`, so both faults are mended here.
 */
export class DhtNode extends HyperDHT {
  override query(question: object, options: QueryOptions & Begun = {}): Query {
    const { commit, onQuery } = options
    const query = super.query(question, {
      ...options,
      ...(commit ? { commit: (...of: Parameters<typeof commit>) => commit(...of).then(accepted) } : {})
    })
    onQuery?.(query)
    return query
  }
}

/** What a node is made of. */
export interface NodeOptions {
  readonly bootstrap: ReadonlyArray<string> | undefined
  readonly host: string
}

const bootstrapNode = /^(?:[^\s:@]+@)?[^\s:@]+:(\d{1,5})$/

const isBootstrapNode = (text: string): boolean => {
  const port = Number(bootstrapNode.exec(text)?.[1])
  return port > 0 && port < 65_536
}

/**
 * Makes a node as long as the scope. It stores nothing for others and answers none of their questions.
 */
export const make = ({ bootstrap, host }: NodeOptions): Effect.Effect<DhtNode, HyperdhtError, Scope.Scope> =>
  Effect.gen(function* () {
    const bad = bootstrap?.find((text) => !isBootstrapNode(text))
    if (bad !== undefined) {
      return yield* new HyperdhtError({ detail: `bootstrap: expected HOST:PORT, not ${JSON.stringify(bad)}` })
    }
    if (bootstrap?.length === 0) {
      return yield* new HyperdhtError({ detail: "bootstrap: without any node, nobody is found; leave it out" })
    }
    const failed = (cause: unknown) =>
      new HyperdhtError({ detail: `no socket can be bound to ${host}: ${cause}`, cause })
    const node = yield* Effect.acquireRelease(
      Effect.try({
        try: () => new DhtNode({ ...(bootstrap ? { bootstrap } : {}), host, ephemeral: true }),
        catch: failed
      }),
      // It waits for nobody but its own sockets.
      (node) => Effect.ignore(Effect.tryPromise(() => node.destroy()))
    )
    yield* Effect.tryPromise({ try: () => node.bind(), catch: failed })
    return node
  })

/**
 * Calls the node. When it is interrupted, the query that the call has begun is given up. The second of the pair says
 * how many nodes have answered.
 */
export const call = <A>(
  run: (begun: Begun) => Promise<A>
): Effect.Effect<readonly [A, answered: number], { readonly cause: unknown; readonly answered: number }> =>
  Effect.suspend(() => {
    let query: Query | undefined
    const answered = () => query?.successes ?? 0
    return Effect.tryPromise({
      try: (signal) => {
        signal.addEventListener("abort", () => query?.destroy())
        return run({
          retries,
          onQuery: (begun) => {
            query = begun
          }
        })
      },
      catch: (cause) => ({ cause, answered: answered() })
    }).pipe(Effect.map((value) => [value, answered()] as const))
  })
