/** For authors of protocols: a transport that does harm, and the contract as checks. */
export * as Chaos from "./Chaos.ts"
export * as Compliance from "./Compliance.ts"
