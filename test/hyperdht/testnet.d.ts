/** The part of hyperdht's test network that these tests use; the package ships no types. */
declare module "hyperdht/testnet.js" {
  /** A request as a node of the DHT gets it. */
  export interface Request {
    readonly command: number
    reply: (value: Uint8Array | null) => void
  }
  export interface TestNode {
    onrequest: (request: Request) => boolean
    mutablePut(pair: object, value: Uint8Array, options: { readonly seq: number }): Promise<unknown>
  }
  export interface Testnet {
    readonly bootstrap: ReadonlyArray<{ readonly host: string; readonly port: number }>
    readonly nodes: ReadonlyArray<TestNode>
    destroy(): Promise<void>
  }
  export default function createTestnet(size: number): Promise<Testnet>
}
