import { assert, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { ConvertedKeys } from "../../src/handshake/convertedKeys.ts"
import { Secrets } from "../../src/handshake/secrets.ts"
import { type KeyPair, PublicKey } from "../../src/Identity.ts"
import * as Handshake from "../../src/shs/ShsHandshake.ts"
import { libraries } from "../support/primitives.ts"
import { handshakes, hex } from "../support/vectors.ts"

describe.each(libraries)("on $library:", ({ primitives }) => {
  type Keys = (typeof handshakes)[number]["client"]

  const local = (appKey: Uint8Array, own: Keys): Handshake.Local => {
    const identity: KeyPair = {
      publicKey: PublicKey.make(own.longterm_pk),
      secretKey: Redacted.make(own.longterm_sk)
    }
    const ephemeral = { publicKey: own.ephemeral_pk.slice(), secretKey: own.ephemeral_sk.slice() }
    const [keys, secrets] = [new ConvertedKeys(primitives), new Secrets(primitives)]
    return { primitives, appKey, identity, ephemeral, keys, secrets }
  }

  const assertOutcome = (session: Handshake.Session, expected: (typeof handshakes)[number]["outcome"]["client"]) => {
    assert.deepStrictEqual(
      {
        encrypt_key: hex(session.encrypt.key),
        encrypt_nonce: hex(session.encrypt.nonce),
        decrypt_key: hex(session.decrypt.key),
        decrypt_nonce: hex(session.decrypt.nonce)
      },
      {
        encrypt_key: hex(expected.encrypt_key),
        encrypt_nonce: hex(expected.encrypt_nonce),
        decrypt_key: hex(expected.decrypt_key),
        decrypt_nonce: hex(expected.decrypt_nonce)
      }
    )
  }

  describe("shs handshake steps", () => {
    it.each(handshakes.map((vector) => [vector.id, vector] as const))(
      "follow vector %s to the byte, both roles",
      (_, v) => {
        const hello = Handshake.clientHello(local(v.app_key, v.client), PublicKey.make(v.server.longterm_pk))
        assert.strictEqual(hex(hello.message), hex(v.msg1))
        const challenge = Result.getOrThrow(Handshake.serverChallenge(local(v.app_key, v.server), hello.message))
        assert.strictEqual(hex(challenge.message), hex(v.msg2))
        const auth = Result.getOrThrow(Handshake.clientAuth(hello.next, challenge.message))
        assert.strictEqual(hex(auth.message), hex(v.msg3))
        const decision = Result.getOrThrow(Handshake.serverVerify(challenge.next, auth.message))
        assert.strictEqual(hex(decision.client), hex(v.client.longterm_pk))
        const accept = Handshake.serverAccept(decision)
        assert.strictEqual(hex(accept.message), hex(v.msg4))
        assertOutcome(accept.session, v.outcome.server)
        assertOutcome(Result.getOrThrow(Handshake.clientFinish(auth.next, accept.message)), v.outcome.client)
      }
    )

    it("wipes the ephemeral secret when the session stands", () => {
      const vector = handshakes[0] as (typeof handshakes)[number]
      const client = local(vector.app_key, vector.client)
      const hello = Handshake.clientHello(client, PublicKey.make(vector.server.longterm_pk))
      const auth = Result.getOrThrow(Handshake.clientAuth(hello.next, vector.msg2))
      Result.getOrThrow(Handshake.clientFinish(auth.next, vector.msg4))
      assert.isTrue(client.ephemeral.secretKey.every((byte) => byte === 0))
    })
  })
})
