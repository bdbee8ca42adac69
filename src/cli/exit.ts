/** How the command ends: each failure that it can end with, its exit code, and its message. */
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import type { AddressError } from "../Address.ts"
import type { ConnectionError } from "../ConnectionError.ts"
import type { AttemptReason, DialError } from "../DialError.ts"
import type { HandshakeError } from "../HandshakeError.ts"
import type { IdentityError } from "../Identity.ts"
import type { ListenError } from "../ListenError.ts"
import type { InheritedSocketsError } from "../sockets/InheritedSockets.ts"
import type { WorkersError } from "../Workers.ts"
import { question } from "./meant.ts"
import { spoken } from "./spoken.ts"

/** The exit codes; 128 + N is for signal N. From 2 to 7, a higher code means that the command got further. */
export const codes = {
  ok: 0,
  /** This machine is the cause: a file, stdin or stdout failed, or a port can't be bound. */
  local: 1,
  /**
   * A wrong flag, argument or variable. Or an address that does not parse, that this command does not speak, or that
   * the environment denies.
   */
  usage: 2,
  unreachable: 3,
  timedOut: 4,
  handshake: 5,
  /** After we have authenticated: the peer refuses our key, or does not hold the key of the address. */
  rejected: 6,
  /** An open connection broke, or ended without a goodbye. */
  broken: 7
} as const

/** The command was given what it can't use. The message never holds a value that may be secret. */
export class UsageError extends Schema.TaggedError<UsageError>("effect-multiserver/cli/UsageError")("UsageError", {
  /** What is wrong, as one word: `BadValue`, `MissingArgument`. */
  kind: Schema.String,
  message: Schema.String
}) {}

/** A file, stdin or stdout failed. */
export class LocalError extends Schema.TaggedError<LocalError>("effect-multiserver/cli/LocalError")("LocalError", {
  /** The system's word: `NotFound`, `PermissionDenied`. */
  kind: Schema.String,
  message: Schema.String
}) {}

/** A signal has ended the command, and its exit code has to say so. No message is printed: the sender knows. */
export class Signalled extends Schema.TaggedError<Signalled>("effect-multiserver/cli/Signalled")("Signalled", {
  signal: Schema.Int
}) {}

/** The exit code of a command that a signal has ended. */
export const signalCode = (signal: number): number => 128 + signal

/** The system's own word for why: `ENOENT`, `EPIPE`. */
export const systemCode = ({ reason }: PlatformError): string | undefined =>
  reason.cause instanceof Error && "code" in reason.cause && typeof reason.cause.code === "string"
    ? reason.cause.code
    : undefined

/** Makes a `LocalError` of a platform's error. `what` is the beginning of its message: `cannot read FILE`. */
export const localError =
  (what: string) =>
  (error: PlatformError): LocalError => {
    const kind = error.reason._tag
    return new LocalError({ kind, message: `${what}: ${systemCode(error) ?? kind}` })
  }

export type CommandError =
  | UsageError
  | LocalError
  | AddressError
  | DialError
  | ListenError
  | IdentityError
  | InheritedSocketsError
  | WorkersError
  | ConnectionError

const handshakeCode = ({ reason }: HandshakeError): number => {
  switch (reason._tag) {
    case "TimedOut":
      return codes.timedOut
    case "WrongPeer":
      return codes.rejected
    case "Rejected":
      return reason.after === "auth" ? codes.rejected : codes.handshake
    default:
      return codes.handshake
  }
}

const attemptCode = (reason: AttemptReason): number => {
  switch (reason._tag) {
    case "Unsupported":
    case "NotDialable":
    case "Insecure":
    case "DeniedByPolicy":
      return codes.usage
    case "TimedOut":
      return codes.timedOut
    case "Tls":
      return codes.handshake
    case "HandshakeError":
      return handshakeCode(reason)
    default:
      return codes.unreachable
  }
}

/** When several addresses failed, the code of the one that got furthest, which says most. */
const dialCode = ({ reason }: DialError): number =>
  reason._tag === "AllFailed"
    ? Math.max(...reason.attempts.map((attempt) => attemptCode(attempt.reason)))
    : attemptCode(reason)

const listenCode = ({ reason }: ListenError): number => {
  switch (reason._tag) {
    case "Unsupported":
    case "NotListenable":
    case "Insecure":
      return codes.usage
    default:
      return codes.local
  }
}

/** The exit code of a failure. */
export const codeOf = (error: CommandError): number => {
  switch (error._tag) {
    case "UsageError":
    case "AddressError":
      return codes.usage
    case "LocalError":
    case "IdentityError":
      return codes.local
    case "DialError":
      return dialCode(error)
    case "ListenError":
      return listenCode(error)
    case "InheritedSocketsError":
      return error.reason._tag === "NotListening" ? codes.local : codes.usage
    case "WorkersError":
      return error.reason._tag === "NotStarted" ? codes.local : codes.usage
    case "ConnectionError":
      return codes.broken
  }
}

/** The tag of the innermost reason: `Rejected`, for example, and not `HandshakeError`. */
const tagOf = (reason: AttemptReason): string => (reason._tag === "HandshakeError" ? reason.reason._tag : reason._tag)

/** One word for why, within the error's own tag. */
export const reasonOf = (error: CommandError): string => {
  switch (error._tag) {
    case "UsageError":
    case "LocalError":
      return error.kind
    case "DialError":
      return error.reason._tag === "AllFailed" ? "AllFailed" : tagOf(error.reason)
    default:
      return error.reason._tag
  }
}

/** Reasons not to trust the path of a secret file. They do not apply to a descriptor, whose opener chose the file. */
const distrusted: ReadonlyArray<string> = ["Exposed", "NotOwned", "Linked"]

/** Advice to give the file as a descriptor, for one that can't be changed, as on a read-only mount. Empty otherwise. */
export const orDescriptor = (flag: "--key-file" | "--tls-key", { _tag }: { readonly _tag: string }): string =>
  distrusted.includes(_tag) ? `; or give it as a descriptor: ${flag} /dev/fd/3 3<FILE` : ""

/** The message of a failure. The library's own message on a stack that isn't spoken is for those who write programs. */
export const messageOf = (error: CommandError): string => {
  if ((error._tag === "DialError" || error._tag === "ListenError") && error.reason._tag === "Unsupported") {
    const { address, reason } = error
    return `${address}: this command does not speak ${reason.stack}, only ${spoken}${question(address)}`
  }
  return error._tag === "IdentityError" ? error.message + orDescriptor("--key-file", error.reason) : error.message
}

/** The attempts of a dial that tried several addresses. */
export const attemptsOf = (
  error: CommandError
): ReadonlyArray<{ readonly address: string; readonly reason: string; readonly message: string }> | undefined =>
  error._tag === "DialError" && error.reason._tag === "AllFailed"
    ? error.reason.attempts.map(({ address, reason }) => ({
        address,
        reason: tagOf(reason),
        message: reason.message
      }))
    : undefined
