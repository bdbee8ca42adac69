/** What went wrong, for people: what it is, and what they can do. The compiler says which reason is missing. */
import { Match } from "effect"
import type { Address, ConnectionError, DialError, HandshakeError, Identity } from "effect-multiserver/browser"
import type { NotOfThisChat } from "./protocol.ts"

export interface Words {
  readonly what: string
  readonly todo: string
}

const words =
  (what: string, todo: string): (() => Words) =>
  () => ({ what, todo })

const again = "It is tried again. If that doesn't help, ask the other side whether it runs."
const checkAddress = "Ask the other side for its address again, and copy all of it."
const fault = words("This page has a fault.", "Reload it. If that doesn't help, tell who made it.")
const other = ({ detail, isRetryable }: { readonly detail: string; readonly isRetryable: boolean }): Words => ({
  what: detail,
  todo: isRetryable ? again : checkAddress
})
const unreachable = words(
  "Nothing answers at this address.",
  "Check that you are online, and that the bridge runs. It is tried again."
)

const handshake = Match.typeTags<HandshakeError.HandshakeReason>()({
  PeerMisbehaved: words("What answers there does not follow the rules.", `It may be another program. ${checkAddress}`),
  WrongNetwork: words("What answers there belongs to another network.", checkAddress),
  WrongPeer: words("Somebody else answers there: the key is not the one in the address.", checkAddress),
  NotAuthorized: words("This page does not accept the other side's key.", checkAddress),
  Rejected: ({ after }) =>
    after === "auth"
      ? {
          what: "The other side refuses your key, or is not the one in the address.",
          todo: "Copy your key from the top of this page, and ask the other side to let it in. Or check the address."
        }
      : { what: "The other side hung up before it said who it is.", todo: `It may be stopped, or busy. ${again}` },
  TimedOut: words("The other side took too long to prove who it is.", again),
  Displaced: words("There were too many connections at once.", again),
  Draining: words("This side is stopping.", again),
  Defect: fault,
  Other: other
})

const attempt = Match.typeTags<DialError.AttemptReason>()({
  Unsupported: ({ spoken }) => ({
    what: "This page does not speak the protocols of this address.",
    todo: `It speaks ${spoken.join(", ")}. Ask the other side for such an address.`
  }),
  NotDialable: ({ detail }) => ({
    what: "This address can't be dialed from here.",
    todo: `${detail}. A page that came over https can dial wss only.`
  }),
  Insecure: words("This address has no encryption.", "Ask the other side for one with ~shs and a key."),
  DeniedByPolicy: words("The rules of this page don't allow this address.", "Ask who runs this page."),
  NameNotFound: words("There is no such name.", "Check the name in the address, and that you are online."),
  Refused: unreachable,
  Unreachable: unreachable,
  Proxy: words("A proxy on the way does not let it through.", "Ask who runs your network."),
  TimedOut: words("There was no answer in time.", `The network may be slow. ${again}`),
  Tls: words("The certificate of the other side is not valid.", "Check the name in the address."),
  HandshakeError: ({ reason }) => handshake(reason),
  Defect: fault,
  Other: other
})

const connection = Match.typeTags<ConnectionError.ConnectionReason>()({
  Truncated: words("The other side has vanished.", `The last messages may be lost. ${again}`),
  Reset: words("The connection broke.", `The last messages may be lost. ${again}`),
  Tampered: words("What arrived was changed on the way.", "Somebody meddles with it. Use another network."),
  ProtocolViolation: words("The other side broke the rules.", "It may be another program, or have a fault."),
  Overflow: words("More arrived than this page can hold.", "Ask the other side to send less at once."),
  TimedOut: words("The other side has gone silent.", again),
  LocallyClosed: words("This side has ended the connection.", "Connect again."),
  Other: other
})

/** What a conversation fails with. */
export type Trouble = Address.AddressError | DialError.DialError | ConnectionError.ConnectionError | NotOfThisChat

export const explain = Match.typeTags<Trouble | Identity.IdentityError>()({
  AddressError: ({ message }) => ({
    what: "This is not an address.",
    todo: `${checkAddress} What is wrong: ${message}`
  }),
  DialError: ({ reason }) => {
    if (reason._tag !== "AllFailed") return attempt(reason)
    const [first] = reason.attempts
    return first === undefined ? unreachable() : attempt(first.reason)
  },
  ConnectionError: ({ reason }) => connection(reason),
  NotOfThisChat: words("The other side does not speak this chat.", checkAddress),
  IdentityError: words(
    "This page can't keep a key in this browser.",
    "Let this site store data, or leave the private window. Then reload the page."
  )
})
