/** The part of hyperdht 6 that `Hyperdht.ts` uses; the package ships no types. */
declare module "hyperdht" {
  /** A question to the nodes nearest to a target, a stream of their replies. */
  export interface Query {
    /** How many nodes have answered. */
    readonly successes: number
    destroy(): void
  }
  export interface Reply {
    /** 0 when the node has done what it was asked for. */
    readonly error: number
  }
  export interface QueryOptions {
    /** How often a node is asked again that has not answered within a second. */
    readonly retries?: number
    /** Tells each of the nearest nodes something, after they have replied. */
    readonly commit?: ((reply: unknown, dht: unknown, query: unknown) => Promise<Reply | null>) | null
  }
  export interface Signer {
    readonly publicKey: Uint8Array
    readonly sign: (message: Uint8Array) => Uint8Array | Promise<never>
  }
  export interface Mutable {
    readonly seq: number
    readonly value: Uint8Array
  }
  export interface NodeOptions {
    readonly bootstrap?: ReadonlyArray<string>
    readonly host?: string
    readonly ephemeral?: boolean
  }
  export default class HyperDHT {
    constructor(options: NodeOptions)
    bind(): Promise<void>
    destroy(): Promise<void>
    /** `mutableGet` and `mutablePut` give it their own options. */
    query(question: object, options?: QueryOptions): Query
    mutableGet(publicKey: Uint8Array, options?: QueryOptions & { readonly latest?: boolean }): Promise<Mutable | null>
    mutablePut(signer: Signer, value: Uint8Array, options?: QueryOptions & { readonly seq?: number }): Promise<unknown>
  }
}
