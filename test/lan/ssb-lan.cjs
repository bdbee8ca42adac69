/**
 * The npm package ssb-lan, in a process of its own: it announces an address, and prints a JSON line for each peer that
 * it hears. The package has fixed ports and chooses its broadcast address itself: here its socket gets others.
 *
 * Arguments: the port for signed announcements, that for unsigned ones, the app key in base64, the port to announce.
 */
const Module = require("node:module")
const broadcast = require("dgram-broadcast")
const keys = require("ssb-keys").generate()
const pull = require("pull-stream")

const [signed, unsigned, caps, announced] = process.argv.slice(2)

const load = Module._load
Module._load = (request, ...rest) =>
  request === "dgram-broadcast"
    ? (port) => broadcast(Number(port === 8008 ? unsigned : signed), true, ["127.255.255.255"])
    : load(request, ...rest)
const plugin = require("ssb-lan")
Module._load = load

const address = `net:127.0.0.1:${announced}~shs:${keys.public.replace(".ed25519", "")}`

/** What ssb-lan uses of its server. */
const server = { id: keys.id, keys, getAddress: () => address, close: { hook: () => {} } }

const lan = plugin.init(server, { caps: { shs: caps } })
pull(
  lan.discoveredPeers(),
  pull.drain((peer) => console.log(JSON.stringify(peer)))
)
lan.start()
console.log(JSON.stringify({ key: keys.public }))
