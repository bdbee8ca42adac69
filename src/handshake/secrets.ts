/**
 * The secrets of one handshake: ephemeral keys, the secrets that are agreed on with them, and session keys until a
 * codec has them.
 *
 * They are wiped together when the handshake ends, whether it succeeds, fails, dies or is interrupted, at any message.
 * Most steps wipe the secrets that they have used up. This is for a handshake that waits for a message that never
 * comes.
 */
import * as Effect from "effect/Effect"
import type { Primitives } from "../crypto/Primitives.ts"

/** An object that holds secrets of its own. */
interface Keeper {
  readonly wipe: () => void
}

export class Secrets {
  private readonly primitives: Primitives["Service"]
  private readonly kept: Array<Uint8Array | Keeper> = []

  constructor(primitives: Primitives["Service"]) {
    this.primitives = primitives
  }

  /** Call it with each secret as soon as it is made. Answers the secret. */
  keep<A extends Uint8Array | Keeper | undefined>(secret: A): A {
    if (secret !== undefined) this.kept.push(secret)
    return secret
  }

  /** Call it when a secret gets another owner, such as a codec. It is not wiped with the others then. */
  release(secret: Uint8Array): void {
    const index = this.kept.indexOf(secret)
    if (index >= 0) this.kept.splice(index, 1)
  }

  wipe(): void {
    for (const secret of this.kept) {
      if (secret instanceof Uint8Array) this.primitives.wipe(secret)
      else secret.wipe()
    }
  }
}

/** A handshake whose secrets are wiped when it ends. It can run only once, because its secrets are made with it. */
export const withSecrets = <A, E, R>(
  primitives: Primitives["Service"],
  handshake: (secrets: Secrets) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  const secrets = new Secrets(primitives)
  return Effect.onExitPrimitive(handshake(secrets), () => {
    secrets.wipe()
    return undefined
  })
}
