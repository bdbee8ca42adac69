/** What a label can say. There are only so many labels, whatever peers do and whatever a protocol's code answers. */
import type { AttemptReason, DialError } from "../DialError.ts"
import type * as Events from "../Events.ts"

/** OpenTelemetry's own word for a value that is none of those that are known. */
const other = "_OTHER"

type Tag =
  | DialError["reason"]["_tag"]
  | Exclude<Events.Closed["tag"], "end" | "closed">
  | Events.HandshakeFailed["tag"]
  | Events.Refused["tag"]
  | Events.RecordRefused["tag"]
  | Events.GossipDropped["tag"]
  | "SourceFailed"
  | "RecordConflict"

/** Every reason of this package. What a third party's protocol says of itself is `Other`, without its code. */
const tags: Readonly<Record<Tag, true>> = {
  AllFailed: true,
  BadRecord: true,
  BadRequest: true,
  Busy: true,
  Defect: true,
  DeniedByPolicy: true,
  Disconnected: true,
  Displaced: true,
  Draining: true,
  Forged: true,
  HandshakeError: true,
  Host: true,
  Insecure: true,
  LocallyClosed: true,
  Malformed: true,
  NameNotFound: true,
  NotAuthorized: true,
  NotDialable: true,
  NotListed: true,
  NotPublishable: true,
  Origin: true,
  Other: true,
  OtherNetwork: true,
  OtherPeer: true,
  Overflow: true,
  PeerMisbehaved: true,
  PlainHttp: true,
  ProtocolViolation: true,
  Proxy: true,
  ProxyHeader: true,
  RecordConflict: true,
  Refused: true,
  Rejected: true,
  Reset: true,
  SourceFailed: true,
  Tampered: true,
  TimedOut: true,
  Tls: true,
  TooFast: true,
  TooLarge: true,
  TooManyConnections: true,
  TooManyFromSource: true,
  TooMuch: true,
  TooOften: true,
  Truncated: true,
  Unasked: true,
  UnknownPath: true,
  Unproved: true,
  Unreachable: true,
  Unsupported: true,
  WrongNetwork: true,
  WrongPeer: true
}

/** `error.type`: the tag of a reason, if it is one of this package. */
export const errorType = (tag: string) => ({ "error.type": Object.hasOwn(tags, tag) ? tag : other })

/** The tag of the innermost reason: `Rejected`, for example, and not `HandshakeError`. */
export const tagOf = (reason: AttemptReason | DialError["reason"]): string =>
  reason._tag === "HandshakeError" ? reason.reason._tag : reason._tag

/** OpenTelemetry's word for what a transport sends over. */
const networkOf: Readonly<Record<string, string>> = { net: "tcp", ws: "tcp", wss: "tcp", onion: "tcp", unix: "unix" }

/** How many stacks are told apart. A program has a handful, which it lists itself. */
const mostStacks = 64

const isName = (stack: string): boolean => /^[\w~.-]{1,64}$/.test(stack)

/** The labels of stacks: of the first 64 different names. */
export class Stacks {
  private readonly known = new Map<string, Readonly<Record<string, string>>>()

  labels(stack: string): Readonly<Record<string, string>> {
    const known = this.known.get(stack)
    if (known !== undefined) return known
    if (this.known.size >= mostStacks || !isName(stack)) return { "multiserver.stack": other }
    const [transport = ""] = stack.split("~")
    const network = Object.hasOwn(networkOf, transport) ? networkOf[transport] : undefined
    const labels = { "multiserver.stack": stack, ...(network !== undefined && { "network.transport": network }) }
    this.known.set(stack, labels)
    return labels
  }
}
