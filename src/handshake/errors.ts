/** The errors of a handshake that authenticates by keys in four messages: the same for each protocol that has one. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { ConnectionReason } from "../ConnectionError.ts"
import { HandshakeError, type HandshakeReason, PeerMisbehaved, Rejected, WrongNetwork } from "../HandshakeError.ts"

export type Phase = "hello" | "challenge" | "auth" | "accept"

/**
 * `network`: the peer has another network key, or speaks another protocol. `misbehaved`: it did what no honest peer
 * does.
 */
export type Failure = { readonly _tag: "network" } | { readonly _tag: "misbehaved"; readonly detail: string }

/** `helloIsSealed`: only a peer that holds the key of the address can read the hello. */
export const handshakeErrors = (protocol: string, { helloIsSealed }: { readonly helloIsSealed: boolean }) => {
  const failure = (phase: Phase, reason: HandshakeReason): HandshakeError =>
    new HandshakeError({ protocol, phase, reason })
  return {
    failure,
    /** The result of a pure step as an effect. */
    step: <A>(phase: Phase, result: Result.Result<A, Failure>): Effect.Effect<A, HandshakeError> =>
      Effect.fromResult(
        Result.mapError(result, (cause) =>
          failure(phase, cause._tag === "network" ? new WrongNetwork() : new PeerMisbehaved({ detail: cause.detail }))
        )
      ),
    /**
     * The error of a connection that ended while this side waited for a message: the peer has rejected what this side
     * sent before. When the connection failed because the peer broke the protocol below, or because bytes were changed,
     * that says more, and stays the reason.
     */
    rejected:
      (phase: Phase, after: Rejected["after"]) =>
      (reason: ConnectionReason): HandshakeError => {
        const detail = misbehaviour(reason)
        if (detail !== undefined) return failure(phase, new PeerMisbehaved({ detail }))
        return failure(phase, new Rejected({ after, cause: reason, ...(helloIsSealed && { helloIsSealed }) }))
      }
  }
}

/** What the peer did wrong, when that is why the connection failed. */
const misbehaviour = (reason: ConnectionReason): string | undefined => {
  switch (reason._tag) {
    case "ProtocolViolation":
      return reason.detail
    case "Tampered":
      return reason.message
    default:
      return undefined
  }
}
