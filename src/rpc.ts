/** The door of RPC: nothing else but trackers loads Effect's RPC. */
export * as MultiserverRpc from "./rpc/MultiserverRpc.ts"
