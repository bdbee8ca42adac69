/** All variables: their names, how they are written, what they mean, and who reads them. */

/** The ways in which variables are written. */
export const forms = {
  duration: "a duration such as `10 seconds` or `5 minutes`, or `Infinity`",
  count: "a whole number above 0",
  boolean: "`true` or `false`",
  networks: "IP networks separated by commas, such as `10.0.0.0/8, 2001:db8::/32, 203.0.113.7`",
  appKey: "base64 of a 32-byte app key",
  secret: "base64 of a 32-byte seed or of a 64-byte secret key",
  address: "an address, or several of the same peer joined by `;`",
  addresses: "addresses joined by `;`, such as `net:0.0.0.0:8008~shs;wss://0.0.0.0~shs`",
  file: "the path of a file",
  publicKeys: "public keys separated by commas, each base64 of 32 bytes",
  origins: "origins separated by commas, such as `https://app.example`, without paths"
} as const

/** The commands of `multiserver`. */
export type Command = "keygen" | "listen" | "connect" | "bridge" | "probe" | "tracker" | "record" | "address"

/** The functions that read variables in a program. */
export type ReadBy =
  | "Configuration.layerLimits"
  | "Configuration.layerPolicy"
  | "Configuration.layerIdentity"
  | "NodeIdentity.layerConfig"
  | "NodeMultiserver.layerConfig"
  | "Configuration.listen"
  | "Configuration.allowedKeys"
  | "WebSocket.configOrigins"
  | "Configuration.layerAppKey"
  | "Configuration.trustedProxies"

export interface Variable {
  readonly name: string
  readonly form: keyof typeof forms
  /** What it means. */
  readonly what: string
  /** What holds when it is not set: written in the same form, where that has a word for it. */
  readonly byDefault: string
  /** What reads it in a program. `undefined`: only commands do. */
  readonly readBy: ReadBy | undefined
  /** The commands that read it. Others ignore it. */
  readonly commands: ReadonlyArray<Command>
}

const speaking = ["listen", "connect", "bridge", "probe", "tracker"] as const
const identified = [...speaking, "record"] as const
const listening = ["listen", "bridge", "tracker"] as const
/** `listen` dials trackers. */
const dialing = ["listen", "connect", "bridge", "probe"] as const
const limits = "Configuration.layerLimits"
const policy = "Configuration.layerPolicy"

/** All variables. */
export const variables = {
  address: {
    name: "MULTISERVER_ADDRESS",
    form: "address",
    what: "the address that a command uses when it is given none; `bridge` dials it",
    byDefault: "none",
    readBy: undefined,
    commands: ["listen", "connect", "bridge", "probe", "tracker", "record", "address"]
  },
  secret: {
    name: "MULTISERVER_SECRET",
    form: "secret",
    what: "the identity of a program. The command refuses it: every child process inherits a variable",
    byDefault: "none",
    readBy: "Configuration.layerIdentity",
    commands: []
  },
  keyFile: {
    name: "MULTISERVER_KEY_FILE",
    form: "file",
    what: "the secret file of the identity; `--key-file` comes before it",
    byDefault: "none",
    readBy: "NodeIdentity.layerConfig",
    commands: identified
  },
  listen: {
    name: "MULTISERVER_LISTEN",
    form: "addresses",
    what: "the addresses that a program listens on",
    byDefault: "none",
    readBy: "Configuration.listen",
    commands: []
  },
  allowedKeys: {
    name: "MULTISERVER_ALLOWED_KEYS",
    form: "publicKeys",
    what: "the only keys that may connect; `--allow` comes before it",
    byDefault: "every key that passes the handshake",
    readBy: "Configuration.allowedKeys",
    commands: listening
  },
  origins: {
    name: "MULTISERVER_ORIGINS",
    form: "origins",
    what: "the only origins whose web pages may connect over ws and wss; `--origin` comes before it",
    byDefault: "all where the stack authenticates, and otherwise none",
    readBy: "WebSocket.configOrigins",
    commands: listening
  },
  tlsKeyFile: {
    name: "MULTISERVER_TLS_KEY_FILE",
    form: "file",
    what: "the private key to listen on wss with, PEM; `--tls-key` and `--tls-cert` come before it",
    byDefault: "none",
    readBy: "NodeMultiserver.layerConfig",
    commands: listening
  },
  tlsCertFile: {
    name: "MULTISERVER_TLS_CERT_FILE",
    form: "file",
    what: "the certificate to listen on wss with, followed by those that lead to its root, PEM",
    byDefault: "none",
    readBy: "NodeMultiserver.layerConfig",
    commands: listening
  },
  tlsCaFile: {
    name: "MULTISERVER_TLS_CA_FILE",
    form: "file",
    what: "the root certificates that dials of wss trust instead of Node's own, PEM; `--tls-ca` comes before it",
    byDefault: "Node's own",
    readBy: "NodeMultiserver.layerConfig",
    commands: dialing
  },
  appKey: {
    name: "MULTISERVER_APP_KEY",
    form: "appKey",
    what: "the key of the network; `--app-key` and `--app-key-file` come before it",
    byDefault: "Secure Scuttlebutt's main network",
    readBy: "Configuration.layerAppKey",
    commands: identified
  },
  dialAllow: {
    name: "MULTISERVER_DIAL_ALLOW",
    form: "networks",
    what: "the only networks that may be dialed",
    byDefault: "all",
    readBy: policy,
    commands: dialing
  },
  dialDeny: {
    name: "MULTISERVER_DIAL_DENY",
    form: "networks",
    what: "networks that may not be dialed",
    byDefault: "none",
    readBy: policy,
    commands: dialing
  },
  dialDenyPrivate: {
    name: "MULTISERVER_DIAL_DENY_PRIVATE",
    form: "boolean",
    what: "whether only public IPs may be dialed, and nothing of this device or its network",
    byDefault: "`false`",
    readBy: policy,
    commands: dialing
  },
  acceptAllow: {
    name: "MULTISERVER_ACCEPT_ALLOW",
    form: "networks",
    what: "the only networks that may connect",
    byDefault: "all",
    readBy: policy,
    commands: listening
  },
  acceptDeny: {
    name: "MULTISERVER_ACCEPT_DENY",
    form: "networks",
    what: "networks that may not connect",
    byDefault: "none",
    readBy: policy,
    commands: listening
  },
  trustedProxies: {
    name: "MULTISERVER_TRUSTED_PROXIES",
    form: "networks",
    what: "the proxies that are trusted to say who connects",
    byDefault: "none",
    readBy: "Configuration.trustedProxies",
    commands: listening
  },
  handshake: {
    name: "MULTISERVER_HANDSHAKE",
    form: "duration",
    what: "how long all handshakes of a connection may take together",
    byDefault: "`10 seconds`",
    readBy: limits,
    commands: speaking
  },
  close: {
    name: "MULTISERVER_CLOSE",
    form: "duration",
    what: "how long connections that close wait for the kernel to take what is pending",
    byDefault: "`1 second`",
    readBy: limits,
    commands: speaking
  },
  grace: {
    name: "MULTISERVER_GRACE",
    form: "duration",
    what: "how long the handlers of a listener that stops may go on",
    byDefault: "`5 seconds`",
    readBy: limits,
    commands: listening
  },
  idle: {
    name: "MULTISERVER_IDLE",
    form: "duration",
    what: "how long a connection may be without a byte in either direction before it fails",
    byDefault: "`Infinity`",
    readBy: limits,
    commands: speaking
  },
  lookup: {
    name: "MULTISERVER_LOOKUP",
    form: "duration",
    what: "how long the look-up of a host name may take",
    byDefault: "`5 seconds`",
    readBy: limits,
    commands: dialing
  },
  dialWait: {
    name: "MULTISERVER_DIAL_WAIT",
    form: "duration",
    what: "how long a dial waits for a place when as many as may connect at once already do",
    byDefault: "`30 seconds`",
    readBy: limits,
    commands: dialing
  },
  dials: {
    name: "MULTISERVER_DIALS",
    form: "count",
    what: "how many dials may connect at once; further dials wait",
    byDefault: "`160`",
    readBy: limits,
    commands: dialing
  },
  pendingHandshakes: {
    name: "MULTISERVER_PENDING_HANDSHAKES",
    form: "count",
    what: "how many accepted connections may be in their handshakes; above that, each newcomer ends one of them",
    byDefault: "`1024`",
    readBy: limits,
    commands: listening
  },
  connections: {
    name: "MULTISERVER_CONNECTIONS",
    form: "count",
    what: "how many connections may be open or in their handshakes",
    byDefault: "as many as there are file descriptors for",
    readBy: limits,
    commands: listening
  },
  sourceConnections: {
    name: "MULTISERVER_SOURCE_CONNECTIONS",
    form: "count",
    what: "how many accepted connections one source may have",
    byDefault: "`64`",
    readBy: limits,
    commands: listening
  },
  sourceRate: {
    name: "MULTISERVER_SOURCE_RATE",
    form: "count",
    what: "how many newcomers of one source may, in a second, be answered, or leave after they have sent something",
    byDefault: "`250`",
    readBy: limits,
    commands: listening
  },
  exemptLoopback: {
    name: "MULTISERVER_EXEMPT_LOOPBACK",
    form: "boolean",
    what: "whether the two limits on sources leave out loopback",
    byDefault: "`true`",
    readBy: limits,
    commands: listening
  }
} as const satisfies Record<string, Variable>

/** All variables, as a list. */
export const all: ReadonlyArray<Variable> = Object.values(variables)

export const named = (name: string): Variable | undefined => all.find((variable) => variable.name === name)
