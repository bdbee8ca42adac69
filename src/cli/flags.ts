/**
 * The flags and arguments of each command. All of them are read at each start, whichever command runs, so this module
 * imports no protocol and no handler.
 */
import * as Argument from "effect/cli/Argument"
import type * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Param from "effect/cli/Param"
import * as Primitive from "effect/cli/Primitive"
import { variables } from "../variables.ts"

/** What a command gets, once its arguments are parsed. */
export type Input<Config extends Command.Command.Config> = Command.Command.Config.Infer<Config>

/**
 * The path of a file as it was given, which shells complete. Effect's own makes it absolute, and `-` would no longer be
 * stdin.
 */
const path: Primitive.Primitive<string> & { readonly pathType: "file" } = {
  ...Primitive.String,
  _tag: "Path",
  pathType: "file"
}

const file = (name: string, description: string): Flag.Flag<string> =>
  Param.makeSingle({ kind: Param.flagKind, name, primitiveType: path }).pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription(description)
  )

// -----------------------------------------------------------------------------
// shared by several commands
// -----------------------------------------------------------------------------

/**
 * Addresses are plain strings here, and parsed by the handler: the parser of arguments would print a bad one with its
 * seed.
 */
const address = Argument.String("address")

const addressFile = file(
  "address-file",
  `Read the address from a file; without this and an argument, from ${variables.address.name}`
).pipe(Flag.optional)

const keys = {
  keyFile: file(
    "key-file",
    "The secret file of the identity to use (see keygen); - is stdin, /dev/fd/N an open descriptor. Without " +
      "it, a new key that is forgotten at the end"
  ).pipe(Flag.optional),
  appKey: Flag.String("app-key").pipe(
    Flag.withMetavar("BASE64"),
    Flag.withDescription("The key of the network; without it, Secure Scuttlebutt's main network"),
    Flag.optional
  ),
  appKeyFile: file("app-key-file", "Read the key of the network from a file").pipe(Flag.optional)
}

/** For commands that listen, and for those that dial a server which asks for a client certificate. */
const tls = {
  tlsKey: file("tls-key", "The private key of --tls-cert, PEM; - is stdin, /dev/fd/N an open descriptor").pipe(
    Flag.optional
  ),
  tlsCert: file("tls-cert", "The certificate to show over wss, followed by those that lead to its root; PEM").pipe(
    Flag.optional
  )
}

const idle = Flag.String("idle").pipe(
  Flag.withMetavar("DURATION"),
  Flag.withDescription("Break off a connection on which no byte has come or gone for so long, such as 5m"),
  Flag.optional
)

const retry = Flag.String("retry").pipe(
  Flag.withMetavar("N"),
  Flag.withDescription(
    "When a dial fails for a reason that may pass, dial again up to N times, or forever: after 1s, 2s, 4s and so on, " +
      "at most 60s"
  ),
  Flag.optional
)

/** For commands that dial. */
const dialing = {
  timeout: Flag.String("timeout").pipe(
    Flag.withMetavar("DURATION"),
    Flag.withDescription(
      "How long all attempts together may take, such as 500ms, 10s or 2m (default: 30s); a long one also extends " +
        "the deadline of each step"
    ),
    Flag.optional
  ),
  race: Flag.Boolean("race").pipe(
    Flag.withDescription("Try several addresses at once and take the first that answers, instead of one after another"),
    Flag.withDefault(false)
  ),
  tlsCa: file("tls-ca", "Trust this root over wss, instead of those that Node brings; PEM").pipe(Flag.optional),
  socks: Flag.String("socks").pipe(
    Flag.withMetavar("HOST:PORT"),
    Flag.withDescription(
      "Reach onion services through this SOCKS5 proxy, HOST:PORT or unix:PATH; can be repeated, to try them in " +
        "order. Without it, Tor's on this machine: 127.0.0.1:9050, then 9150"
    ),
    Flag.atLeast(0)
  ),
  proxy: Flag.String("proxy").pipe(
    Flag.withMetavar("URL"),
    Flag.withDescription(
      "Reach ws and wss through this HTTP proxy, such as http://proxy.example:3128; env takes it from " +
        "HTTPS_PROXY and HTTP_PROXY, except for the hosts of NO_PROXY. Without it, they are dialed directly"
    ),
    Flag.optional
  )
}

/** For commands that only dial. */
const onlyDialing = {
  ...dialing,
  ...tls,
  origin: Flag.String("origin").pipe(
    Flag.withMetavar("ORIGIN"),
    Flag.withDescription("The origin to show over ws and wss, as a web page of it would; without it, none"),
    Flag.optional
  )
}

/** For commands that listen. */
const listening = {
  ...keys,
  ...tls,
  allow: Flag.String("allow").pipe(
    Flag.withMetavar("KEY"),
    Flag.withDescription(
      "Let in the peer that holds this public key; can be repeated. Without it, every peer that passes the handshake"
    ),
    Flag.atLeast(0)
  ),
  origin: Flag.String("origin").pipe(
    Flag.withMetavar("ORIGIN"),
    Flag.withDescription(
      "Let in web pages of this origin over ws and wss; can be repeated. Without it, all pages where the stack " +
        "authenticates, and otherwise none"
    ),
    Flag.atLeast(0)
  ),
  host: Flag.String("host").pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription(
      "Let clients call a ws or wss listener by this name, as behind a proxy; can be repeated. Without it, " +
        "any name, but on loopback only those of loopback where the stack does not authenticate"
    ),
    Flag.atLeast(0)
  ),
  external: Flag.String("external").pipe(
    Flag.withMetavar("HOST|ADDRESS"),
    Flag.withDescription(
      "A host by which others reach this machine, or the whole address of a proxy that leads here; can be repeated"
    ),
    Flag.atLeast(0)
  ),
  scope: Flag.Literals("scope", ["device", "local", "public"]).pipe(
    Flag.withMetavar("device|local|public"),
    Flag.withDescription("Print the addresses by which it can be reached from there; can be repeated. Without it, all"),
    Flag.atLeast(0)
  ),
  metrics: Flag.String("metrics").pipe(
    Flag.withMetavar("[HOST:]PORT"),
    Flag.withDescription("Show metrics to Prometheus at http://HOST:PORT/metrics; without HOST, on loopback only"),
    Flag.optional
  )
}

/** For commands that bridge a connection to stdin and stdout. */
const piping = {
  recvOnly: Flag.Boolean("recv-only").pipe(
    Flag.withDescription("Do not read stdin; say goodbye after the peer has, when stdout has taken everything"),
    Flag.withDefault(false)
  ),
  sendOnly: Flag.Boolean("send-only").pipe(
    Flag.withDescription("Do not write stdout: what the peer sends is dropped"),
    Flag.withDefault(false)
  ),
  linger: Flag.String("linger").pipe(
    Flag.withMetavar("DURATION"),
    Flag.withDescription(
      "How long the peer may be silent after the end of stdin before the connection is ended, such as 5s; 0 " +
        "ends it at once. Without it, the peer's end is waited for; a listener allows 5s of silence where the " +
        "stack has no half close"
    ),
    Flag.optional
  )
}

/** For commands that dial: how they find the peer of `peer:KEY`. */
const finding = {
  tracker: Flag.String("tracker").pipe(
    Flag.withMetavar("ADDRESS"),
    Flag.withDescription("Ask this tracker for the addresses of the peer at peer:KEY; can be repeated"),
    Flag.atLeast(0)
  ),
  records: file("records", "Look up the peer at peer:KEY in this file, which has records as record prints them").pipe(
    Flag.optional
  ),
  followPrivate: Flag.Boolean("follow-private").pipe(
    Flag.withDescription("Dial private IPs and loopback, too, where a record names them; without it, only public IPs"),
    Flag.withDefault(false)
  )
}

/** For commands that serve many connections, each on its own. */
const workers = Flag.Int("workers").pipe(
  Flag.withMetavar("N"),
  Flag.withDescription(
    "Serve with N processes that share the ports, to use as many cores, and start one again that ends; without " +
      "it, this process serves alone"
  ),
  Flag.optional
)

/** What both ways to serve take. */
const served = {
  addresses: address.pipe(
    Argument.withDescription("What to listen on; port 0 takes any that is free"),
    Argument.variadic()
  ),
  addressFile,
  ...listening,
  idle
}

// -----------------------------------------------------------------------------
// of each command
// -----------------------------------------------------------------------------

export const ofKeygen = {
  output: file("output", "The secret file to make (default: ./secret)").pipe(
    Flag.withAlias("o"),
    Flag.withDefault("./secret")
  )
}

export const ofListen = {
  ...served,
  ...piping,
  tracker: Flag.String("tracker").pipe(
    Flag.withMetavar("ADDRESS"),
    Flag.withDescription(
      "Publish the addresses of --scope at this tracker, or without --scope the public ones; can be repeated"
    ),
    Flag.atLeast(0)
  ),
  echo: Flag.Boolean("echo").pipe(
    Flag.withDescription("Serve many peers, and send each one back what it sends"),
    Flag.withDefault(false)
  ),
  once: Flag.Boolean("once").pipe(
    Flag.withDescription("With --echo: stop after one connection, as without --echo"),
    Flag.withDefault(false)
  ),
  workers
}

export const ofConnect = {
  address: address.pipe(
    Argument.withDescription("Who to dial; several addresses of the same peer are joined by ;"),
    Argument.optional
  ),
  addressFile,
  ...keys,
  ...onlyDialing,
  ...finding,
  ...piping,
  idle,
  retry
}

export const ofBridge = {
  listen: Argument.String("listen").pipe(
    Argument.withDescription("What to listen on; several addresses are joined by ;")
  ),
  dial: Argument.String("dial").pipe(
    Argument.withDescription("Who to dial for each connection; several addresses of the same peer are joined by ;"),
    Argument.optional
  ),
  addressFile,
  ...listening,
  ...dialing,
  ...finding,
  idle,
  retry,
  once: Flag.Boolean("once").pipe(Flag.withDescription("Stop after one connection"), Flag.withDefault(false)),
  workers
}

export const ofProbe = {
  address: address.pipe(
    Argument.withDescription("What to dial; several addresses are joined by ;, and each is dialed on its own"),
    Argument.optional
  ),
  addressFile,
  ...keys,
  ...onlyDialing,
  ...finding
}

export const ofTracker = served

export const ofRecord = {
  addresses: address.pipe(
    Argument.withDescription("Where the peer is reached, with its key; the preferred address first"),
    Argument.variadic()
  ),
  addressFile,
  ...keys,
  validity: Flag.String("validity").pipe(
    Flag.withMetavar("DURATION"),
    Flag.withDescription("How long the record says that it is valid, such as 30m or 24h (default: 24h)"),
    Flag.withDefault("24h")
  )
}

export const ofAddress = {
  address: address.pipe(Argument.withDescription("What to explain"), Argument.optional),
  addressFile
}
