#!/usr/bin/env node
/** shs1-test's client: APPKEY PUBLICKEY. */
import * as Redacted from "effect/Redacted"
import { ConvertedKeys } from "../../../dist/handshake/convertedKeys.js"
import { Secrets } from "../../../dist/handshake/secrets.js"
import { fromSeed } from "../../../dist/Identity.js"
import * as Handshake from "../../../dist/shs/ShsHandshake.js"
import { args, primitives, read, succeed, write, writeOutcome } from "./stdio.mjs"

const [appKey, server] = args
const identity = fromSeed(primitives, Redacted.make(primitives.random(32)))
const local = {
  primitives,
  appKey,
  identity,
  ephemeral: primitives.x25519KeyPair(),
  keys: new ConvertedKeys(primitives),
  secrets: new Secrets(primitives)
}

const hello = Handshake.clientHello(local, server)
write(hello.message)
const auth = succeed(Handshake.clientAuth(hello.next, read(64)))
write(auth.message)
writeOutcome(succeed(Handshake.clientFinish(auth.next, read(80))))
