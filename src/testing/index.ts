/** For authors of protocols: the contract as checks. */
export * as Compliance from "./Compliance.ts"
