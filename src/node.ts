/** Node's door: everything, and Node's own protocols. */
export * as Duplex from "./bridge/Duplex.ts"
export * as Sodium from "./crypto/Sodium.ts"
export * from "./index.ts"
export * as NodeMultiserver from "./NodeMultiserver.ts"
export * as Net from "./net/Net.ts"
