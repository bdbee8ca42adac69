/** The door of `Hyperdht`, which needs the package `hyperdht`: nothing else imports it. */
export * as Hyperdht from "./hyperdht/Hyperdht.ts"
