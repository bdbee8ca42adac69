#!/usr/bin/env node
/** shs1-test's server: APPKEY SECRETKEY PUBLICKEY. */
import * as Redacted from "effect/Redacted"
import { ConvertedKeys } from "../../../dist/handshake/convertedKeys.js"
import { Secrets } from "../../../dist/handshake/secrets.js"
import * as Handshake from "../../../dist/shs/ShsHandshake.js"
import { args, primitives, read, succeed, write, writeOutcome } from "./stdio.mjs"

const [appKey, secretKey, publicKey] = args
const identity = { publicKey, secretKey: Redacted.make(secretKey) }
const local = {
  primitives,
  appKey,
  identity,
  ephemeral: primitives.x25519KeyPair(),
  keys: new ConvertedKeys(primitives),
  secrets: new Secrets(primitives)
}

const challenge = succeed(Handshake.serverChallenge(local, read(64)))
write(challenge.message)
const decision = succeed(Handshake.serverVerify(challenge.next, read(112)))
const accept = Handshake.serverAccept(decision)
write(accept.message)
writeOutcome(accept.session)
