/** Our steps as the executables that shs1-test asks for: each yields how many bytes it reads, and fails by throwing. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { Primitives } from "../../../dist/crypto/Primitives.js"
import * as Sodium from "../../../dist/crypto/Sodium.js"
import { ConvertedKeys } from "../../../dist/handshake/convertedKeys.js"
import { Secrets } from "../../../dist/handshake/secrets.js"
import { fromSeed } from "../../../dist/Identity.js"
import * as Handshake from "../../../dist/shs/ShsHandshake.js"

const primitives = Effect.runSync(Effect.provide(Primitives, Sodium.layer))

const own = (appKey, identity) => ({
  primitives,
  appKey,
  identity,
  ephemeral: primitives.x25519KeyPair(),
  keys: new ConvertedKeys(primitives),
  secrets: new Secrets(primitives)
})

const outcome = ({ decrypt, encrypt }) => Buffer.concat([encrypt.key, encrypt.nonce, decrypt.key, decrypt.nonce])

/** APPKEY PUBLICKEY. */
export function* client([appKey, server], write) {
  const local = own(appKey, fromSeed(primitives, Redacted.make(primitives.random(32))))
  const hello = Handshake.clientHello(local, server)
  write(hello.message)
  const auth = Result.getOrThrow(Handshake.clientAuth(hello.next, yield 64))
  write(auth.message)
  write(outcome(Result.getOrThrow(Handshake.clientFinish(auth.next, yield 80))))
}

/** APPKEY SECRETKEY PUBLICKEY. */
export function* server([appKey, secretKey, publicKey], write) {
  const local = own(appKey, { publicKey, secretKey: Redacted.make(secretKey) })
  const challenge = Result.getOrThrow(Handshake.serverChallenge(local, yield 64))
  write(challenge.message)
  const accept = Handshake.serverAccept(Result.getOrThrow(Handshake.serverVerify(challenge.next, yield 112)))
  write(accept.message)
  write(outcome(accept.session))
}
