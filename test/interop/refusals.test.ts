/** Who may not talk, and who attacks: one typed event or error on our side, and the next peer is served. */
import { createHmac } from "node:crypto"
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { formatPublicKey, fromSeed } from "../../src/Identity.ts"
import { pattern } from "../support/servers.ts"
import { appKeyBytes, exchange, otherAppKey, ours, refusal, replyWhole, strangerKey, theirs } from "./setup.ts"

/** The address with another key in it. */
const misdialed = (address: string) => address.replace(/shs:.*$/, `shs:${strangerKey}`)

describe("our server and npm's client", () => {
  
})
