/** The door of `MultiserverRpc`. Besides it, only trackers and the cluster load Effect's RPC. */
export * as MultiserverRpc from "./rpc/MultiserverRpc.ts"
