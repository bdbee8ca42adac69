/** The commands: what they take, what they are for, and where their handlers are. */
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Completions from "./completions.ts"
import * as Flags from "./flags.ts"
import * as GlobalFlags from "./globalFlags.ts"
import * as Spoken from "./spoken.ts"

interface Handler<Input, E, R> {
  readonly run: (input: Input) => Effect.Effect<void, E, R>
}

/**
 * A handler that is loaded when it runs. All of them together are most of the package, and would more than double the
 * time that `multiserver address` takes.
 */
const lazily =
  <Input, E, R>(load: () => Promise<Handler<Input, E, R>>) =>
  (input: Input): Effect.Effect<void, E, R> =>
    Effect.flatMap(Effect.promise(load), ({ run }) => run(input))

const keygen = Command.make("keygen", Flags.ofKeygen).pipe(
  Command.withDescription(
    "Make a key pair, save it in a new secret file that only you can read (mode 0600), in the format of " +
      "ssb-keys, and print the public key. An existing file is never overwritten."
  ),
  Command.withShortDescription("Make a secret file, and print its public key"),
  Command.withExamples([{ command: "multiserver keygen --output secret" }]),
  Command.withHandler(lazily(() => import("./keygen.ts")))
)

const listen = Command.make("listen", Flags.ofListen).pipe(
  Command.withDescription(
    "Listen on addresses. One peer is bridged to stdin and stdout, or with --echo many are served. SIGINT " +
      "and SIGTERM let connections finish; a second one ends at once."
  ),
  Command.withShortDescription("Bridge one peer to stdin and stdout, or echo many"),
  Command.withExamples([
    {
      command: `multiserver listen net:127.0.0.1:8008~${Spoken.exampleTransform} --key-file secret`,
      description: "One peer on stdin and stdout"
    },
    {
      command: `multiserver listen net:127.0.0.1:0~${Spoken.exampleTransform} --echo --json`,
      description: "An echo server, with JSON events on stderr"
    },
    {
      command: "multiserver listen ws://127.0.0.1:8989 --origin http://localhost:5173",
      description: "For web pages of that origin, and no others"
    },
    {
      command: [
        `multiserver listen wss://0.0.0.0:443~${Spoken.exampleTransform} --tls-key key.pem --tls-cert cert.pem`,
        "--external pub.example --scope public"
      ].join(" "),
      description: "Over TLS; prints the address that the public dials"
    }
  ]),
  Command.withHandler(lazily(() => import("./listen.ts")))
)

const connect = Command.make("connect", Flags.ofConnect).pipe(
  Command.withDescription(
    "Dial a peer: stdin goes to it and what it sends to stdout. The end of stdin ends this side; reading " +
      "goes on until the peer's goodbye. At a terminal, ctrl-d ends this side, and ctrl-c breaks the connection off."
  ),
  Command.withShortDescription("Dial a peer: stdin to it, and what it sends to stdout"),
  Command.withExamples([
    {
      command: `echo hello | multiserver connect ${Spoken.exampleAddress}`,
      description: "Send a line"
    },
    { command: "multiserver connect --address-file invite", description: "Dial with an invite that nobody else sees" },
    {
      command: `multiserver connect --race '${Spoken.exampleAddresses}'`,
      description: "By whichever way answers first"
    },
    {
      command: `multiserver connect --tracker ${Spoken.exampleTracker} ${Spoken.examplePeer}`,
      description: "A peer whose addresses a tracker knows"
    }
  ]),
  Command.withHandler(lazily(() => import("./connect.ts")))
)

const bridge = Command.make("bridge", Flags.ofBridge).pipe(
  Command.withDescription(
    "Listen, and relay each connection to a peer that is dialed for it, both ways until both have ended. " +
      "What breaks one side breaks the other: what is truncated stays so. SIGINT and SIGTERM let connections " +
      "finish; a second one ends at once."
  ),
  Command.withShortDescription("Relay between two stacks"),
  Command.withExamples([
    {
      command: "multiserver bridge ws://127.0.0.1:8989 net:pub.example:8008 --origin http://localhost:5173",
      description: "A page reaches a peer that only speaks TCP"
    },
    {
      command: `multiserver bridge net:127.0.0.1:8008 '${Spoken.exampleAddress}'`,
      description: "A program that knows nothing of keys speaks with one that demands them"
    }
  ]),
  Command.withHandler(lazily(() => import("./bridge.ts")))
)

const probe = Command.make("probe", Flags.ofProbe).pipe(
  Command.withDescription(
    "Dial each address, say how long each step took and who is there, and close with a goodbye. With --race, " +
      "dial all of them at once and take the first that answers, as connect --race does."
  ),
  Command.withShortDescription("See who answers at an address, and how fast"),
  Command.withExamples([
    { command: `multiserver probe ${Spoken.exampleAddress}` },
    {
      command: `multiserver probe --json '${Spoken.exampleAddresses}'`,
      description: "Both ways to a peer, one JSON object each"
    }
  ]),
  Command.withHandler(lazily(() => import("./probe.ts")))
)

const tracker = Command.make("tracker", Flags.ofTracker).pipe(
  Command.withDescription(
    "Serve a tracker: peers publish their addresses there (listen --tracker), and others ask it for the peer of a " +
      "key (connect --tracker with an address peer:KEY). It keeps the records in memory. Its addresses have to prove " +
      "keys. SIGINT and SIGTERM let connections finish; a second one ends at once."
  ),
  Command.withShortDescription("Serve the addresses of peers by their keys"),
  Command.withExamples([
    {
      command: `multiserver tracker net:0.0.0.0:8010~${Spoken.exampleTransform} --key-file secret`,
      description: "A tracker whose address stays the same, because its key is in a file"
    }
  ]),
  Command.withHandler(lazily(() => import("./tracker.ts")))
)

const record = Command.make("record", Flags.ofRecord).pipe(
  Command.withDescription(
    "Sign the addresses of this identity as a record, and print it on one line, for a file that others give to " +
      "--records."
  ),
  Command.withShortDescription("Print a signed record of this identity's addresses"),
  Command.withExamples([{ command: `multiserver record ${Spoken.exampleAddress} --key-file secret >> records` }]),
  Command.withHandler(lazily(() => import("./record.ts")))
)

const address = Command.make("address", Flags.ofAddress).pipe(
  Command.withDescription("Parse an address and explain it. Seeds and tokens are hidden."),
  Command.withExamples([{ command: `multiserver address '${Spoken.exampleAddress}'` }]),
  Command.withHandler(lazily(() => import("./address.ts")))
)

/** The command with all others below it. */
export const multiserver = Command.make("multiserver").pipe(
  Command.withDescription(`Talk to peers over typed addresses, byte for byte as the npm package multiserver does.
  Payload is on stdout, everything else on stderr. An address is a transport and what is stacked on it, such as
  ${Spoken.exampleAddress}; multiserver address ADDRESS explains one.

  Exit codes:
    0   ok
    1   a file, a port or stdio of this machine failed
    2   wrong usage, a bad variable or address, or an address that is not spoken or is denied
    3   could not connect
    4   timed out
    5   handshake failed
    6   rejected after we authenticated: the peer refuses our key, or does not hold the key of the address
    7   connection broken or truncated
    129 SIGHUP, where it does not reload; 0 for listen, bridge and tracker when nothing was cut off
    130 SIGINT
    143 SIGTERM; 0 for listen, bridge and tracker when nothing was cut off`),
  Command.withSubcommands([keygen, listen, connect, bridge, probe, tracker, record, address]),
  Command.withGlobalFlags([
    GlobalFlag.Setting("json")({ flag: GlobalFlags.json }),
    GlobalFlag.Setting("quiet")({ flag: GlobalFlags.quiet }),
    GlobalFlag.Setting("verbose")({ flag: GlobalFlags.verbose })
  ])
)

const version = GlobalFlag.Action({
  flag: GlobalFlags.version,
  run: (_, { command, version }) =>
    CliOutput.Presenter.use(({ present }) => present({ _tag: "Version", name: command.name, version }))
})

/** Effect's wizard and its flag for log levels are left out, because they could print secrets. */
export const builtIns = [GlobalFlag.Help, version, Completions.print]
