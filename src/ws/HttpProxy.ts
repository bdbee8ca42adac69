/**
 * Dials `ws` and `wss` through HTTP proxies, with the method CONNECT. A proxy is used only where the layer is given
 * one, as `WebSocket.layer({ proxies })`. `config` reads the variables that most programs read. Where there is a proxy,
 * all dials go through it, except those of the exceptions and of this machine.
 *
 * The proxy looks names up. So policy is asked about the host as it is written, an IP or a name. An allow list and
 * `denyPrivate` deny every name, because where it leads is not known here.
 */
import type * as net from "node:net"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as IpInterface from "effect/net/IpInterface"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { kindOfHost, toUrlHost } from "../address/host.ts"
import { withoutBrackets } from "../address/hostPort.ts"
import { DeniedByPolicy, Proxy, type TransportReason } from "../DialError.ts"
import { isOfTheMoment } from "../httpStatus.ts"
import * as Networks from "../Networks.ts"
import { reachOf } from "../sockets/ip.ts"
import { codeOf } from "../sockets/reasons.ts"
import type { Connecting } from "../sockets/streamSocket.ts"
import { type Open, type ToHostOptions, toHost } from "../sockets/toHost.ts"
import { invalid } from "../variables.ts"
import { nodeHttp } from "./nodeHttp.ts"

/**
 * Where an HTTP proxy listens, over TCP.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpProxy {
  readonly host: string
  readonly port: number
  /** `user:password`, sent to the proxy with each dial. */
  readonly credentials?: Redacted.Redacted<string>
}

/**
 * Hosts that are dialed without a proxy.
 *
 * @category models
 * @since 0.1.0
 */
export interface Exceptions {
  /** No host goes through a proxy. */
  readonly all: boolean
  /** Host names, each with all its subdomains, on one port or, with `undefined`, on all. */
  readonly names: ReadonlyArray<{ readonly name: string; readonly port: number | undefined }>
  readonly networks: Networks.Networks
}

/**
 * The proxies for `ws` and for `wss`. Without one, the protocol is dialed directly.
 *
 * @category options
 * @since 0.1.0
 */
export interface Proxies {
  readonly ws?: HttpProxy | undefined
  readonly wss?: HttpProxy | undefined
  readonly except?: Exceptions | undefined
}

/**
 * The proxy's URL does not parse. The error does not repeat it, because it may hold a password.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadProxy extends Schema.TaggedError<BadProxy>("effect-multiserver/BadProxy")("BadProxy", {
  detail: Schema.String
}) {
  override get message(): string {
    return `not the URL of an HTTP proxy: ${this.detail}`
  }
}

/**
 * An entry of the exceptions is not a host, an IP, a network or `*`.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadException extends Schema.TaggedError<BadException>("effect-multiserver/BadException")("BadException", {
  text: Schema.String
}) {
  override get message(): string {
    return (
      `${JSON.stringify(this.text.slice(0, 60))} is not a host: write example.org, example.org:8080, 203.0.113.7, ` +
      "10.0.0.0/8 or *"
    )
  }
}

// -----------------------------------------------------------------------------
// reading
// -----------------------------------------------------------------------------

/** A proxy's name is looked up with DNS, which must not be asked for `.onion` names. */
const noHost = "its host has to be an IP, or a host name that is not .onion"
const noPort = "a port is 1 to 65535"

const isPort = (port: number): boolean => Number.isInteger(port) && port > 0 && port <= 65_535

/** Why there can't be a proxy there; `undefined` when there can. */
const faultOf = ({ host, port }: Destination): string | undefined => {
  if (kindOfHost(host) !== "clear") return noHost
  return isPort(port) ? undefined : noPort
}

const bad = (detail: string): Result.Result<never, BadProxy> => Result.fail(new BadProxy({ detail }))

/**
 * Parses the URL of a proxy: `http://[user:password@]HOST[:PORT]`, or `HOST:PORT`. Port 80 when none is written.
 *
 * @category conversions
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<HttpProxy, BadProxy> => {
  const trimmed = text.trim()
  const written = /^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed) ? trimmed : `http://${trimmed}`
  if (!URL.canParse(written)) return bad("it has to be a URL such as http://proxy.example:3128")
  const url = new URL(written)
  if (url.protocol !== "http:") return bad("it has to begin with http://, also for wss through the proxy")
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") return bad("a proxy's URL ends with its port")
  const host = url.hostname.replace(/^\[|\]$/g, "")
  const port = url.port === "" ? 80 : Number(url.port)
  const wrong = faultOf({ host, port })
  if (wrong !== undefined) return bad(wrong)
  if (url.username === "" && url.password === "") return Result.succeed({ host, port })
  return Result.match(
    Result.try(() => `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`),
    {
      onSuccess: (credentials) => Result.succeed({ host, port, credentials: Redacted.make(credentials) }),
      onFailure: () => bad("a % in a user or password has to be written as %25")
    }
  )
}

type Name = Exceptions["names"][number]

/** Parses a network, also with bits set after the prefix, or a single IP. */
const networkOf = (entry: string): Networks.Networks | undefined => {
  const masked = Result.map(IpInterface.fromString(entry), (given) => IpNetwork.format(IpNetwork.fromInterface(given)))
  const text = entry.includes("/") ? masked : Result.succeed(entry.replace(/^\[(.*)\]$/, "$1"))
  return Option.getOrUndefined(Result.getSuccess(Result.flatMap(text, (each) => Networks.parse([each]))))
}

/** Parses `name`, `.name` or `*.name`, and `name:port`, `IPv4:port` or `[IPv6]:port`. */
const nameOf = (entry: string): Name | undefined => {
  const [, written = "", digits] = /^(.*?)(?::(\d{1,5}))?$/.exec(entry) ?? []
  const name = hostOf(withoutBrackets(written.replace(/^(?:\*?\.)/, "")))
  const port = digits === undefined ? undefined : Number(digits)
  return (port === undefined || isPort(port)) && kindOfHost(name) !== undefined ? { name, port } : undefined
}

/**
 * Parses exceptions as in `NO_PROXY`, separated by commas or spaces: names, each with its subdomains (with or without
 * `.` or `*.` before it), `name:port`, IPs, networks (`10.0.0.0/8`), and `*` for all hosts. Fails at the first entry
 * that is none of these. If it were skipped, a host that is to be dialed directly would go through the proxy.
 *
 * @category conversions
 * @since 0.1.0
 */
export const parseExceptions = (text: string): Result.Result<Exceptions, BadException> => {
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== "")
  const names: Array<Name> = []
  const networks: Array<Networks.Networks> = []
  for (const entry of entries) {
    if (entry === "*") continue
    const network = networkOf(entry)
    const name = network === undefined ? nameOf(entry) : undefined
    if (network !== undefined) networks.push(network)
    else if (name !== undefined) names.push(name)
    else return Result.fail(new BadException({ text: entry }))
  }
  return Result.succeed({ all: entries.includes("*"), names, networks: Networks.union(...networks) })
}

const variable = (name: string): Config.Config<string> =>
  Config.String(name.toLowerCase()).pipe(
    Config.orElse(() => Config.String(name)),
    Config.withDefault("")
  )

const proxyVariable = (name: string): Config.Config<HttpProxy | undefined> =>
  Config.mapEffect(variable(name), (text) => {
    if (text.trim() === "") return Effect.undefined
    const parsed = parse(text)
    if (Result.isSuccess(parsed)) return Effect.succeed(parsed.success)
    return Effect.fail(invalid(`${name}: ${parsed.failure.message}`))
  })

/**
 * Reads the proxies from `HTTPS_PROXY` (for wss) and `HTTP_PROXY` (for ws), and the exceptions from `NO_PROXY`. Each
 * name is tried in lower case first. Fails with a `ConfigError` when a value does not parse.
 *
 * @category configuration
 * @since 0.1.0
 */
export const config: Config.Config<Proxies> = Config.all({
  ws: proxyVariable("HTTP_PROXY"),
  wss: proxyVariable("HTTPS_PROXY"),
  except: Config.mapEffect(variable("NO_PROXY"), (text) =>
    Effect.fromResult(Result.mapError(parseExceptions(text), ({ message }) => invalid(`NO_PROXY: ${message}`)))
  )
})

// -----------------------------------------------------------------------------
// choosing a proxy
// -----------------------------------------------------------------------------

/**
 * A host, by name or IP, and its port.
 *
 * @category models
 * @since 0.1.0
 */
export interface Destination {
  readonly host: string
  readonly port: number
}

/** A host in the form in which hosts are compared: a name in lower case and ASCII, and an IP in its usual form. */
const hostOf = (written: string): string => {
  const ip = Networks.parseIp(written)
  return ip === undefined ? toUrlHost(written.replace(/\.$/, "")) : NetAddress.formatIp(ip)
}

const isException = ({ all, names, networks }: Exceptions, { host, port }: Destination): boolean =>
  all ||
  Networks.contains(networks, host) ||
  names.some(
    (each) => (each.port ?? port) === port && (host === each.name || host.endsWith(`.${each.name}`)) && each.name !== ""
  )

/** Whether a host is this machine. A proxy would take such a name for its own machine. */
const isThisMachine = (host: string): boolean => reachOf(host) === "device" || /\.localhost\.?$/.test(host)

/**
 * The proxy through which a host is dialed; `undefined` where it is dialed directly.
 *
 * @category accessors
 * @since 0.1.0
 */
export const proxyFor = (proxies: Proxies, secure: boolean, to: Destination): HttpProxy | undefined => {
  const host = hostOf(to.host)
  if (isThisMachine(host) || (proxies.except && isException(proxies.except, { ...to, host }))) return undefined
  return secure ? proxies.wss : proxies.ws
}

// -----------------------------------------------------------------------------
// dialing through it
// -----------------------------------------------------------------------------

/** The longest answer that is read, in bytes. */
const maxAnswer = 8192

/** Whether the proxy may answer otherwise the next time. It won't if it has no CONNECT (501) or no HTTP/1.1 (505). */
const mayChange = (status: number): boolean => isOfTheMoment(status) && status !== 501 && status !== 505

const hostPort = ({ host, port }: Destination): string => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`)

/** The error when the proxy did not connect. Of the proxy's answer it contains the status only. */
const refusal = (proxy: HttpProxy, to: Destination, status: number): Proxy => {
  const credentials =
    proxy.credentials === undefined ? "it wants a user and a password" : "it rejects this user and password"
  const why = status === 407 ? credentials : (nodeHttp.STATUS_CODES[status] ?? "an unknown status")
  const detail = `the HTTP proxy ${hostPort(proxy)} did not connect to ${hostPort(to)}: ${status}, ${why}`
  return new Proxy({ detail, isRetryable: mayChange(status) })
}

const broke = (proxy: HttpProxy, to: Destination, code: string, cause?: Error): Proxy => {
  const isHttp = !code.startsWith("HPE_")
  const why = isHttp ? "it hung up" : `its answer is not HTTP, or longer than ${maxAnswer} bytes`
  const detail = `the HTTP proxy ${hostPort(proxy)} did not connect to ${hostPort(to)}: ${why} (${code})`
  return new Proxy({ detail, isRetryable: isHttp, ...(cause && { cause }) })
}

/** Sends CONNECT over a socket to the proxy. Afterwards the socket leads to the host. */
const exchange = (socket: net.Socket, proxy: HttpProxy, to: Destination): Effect.Effect<net.Socket, Proxy> =>
  Effect.callback((resume) => {
    // A socket that was destroyed before emits no further events.
    if (socket.destroyed) return resume(Effect.fail(broke(proxy, to, "ECONNRESET")))
    const authority = hostPort(to)
    const { credentials } = proxy
    const request = nodeHttp.request({
      method: "CONNECT",
      path: authority,
      headers: {
        Host: authority,
        ...(credentials && {
          "Proxy-Authorization": `Basic ${Buffer.from(Redacted.value(credentials)).toString("base64")}`
        })
      },
      maxHeaderSize: maxAnswer,
      createConnection: () => socket
    })
    request.once("connect", ({ statusCode: status = 0 }, _, head: Buffer) => {
      if (status < 200 || status > 299) return resume(Effect.fail(refusal(proxy, to, status)))
      if (head.length > 0) socket.unshift(head)
      resume(Effect.succeed(socket))
    })
    request.on("error", (error) => resume(Effect.fail(broke(proxy, to, codeOf(error), error))))
    request.end()
    return Effect.sync(() => void request.destroy())
  })

/** Destroys the socket unless the effect succeeds. */
const ownedBy = <E>(socket: net.Socket, effect: Effect.Effect<net.Socket, E>): Effect.Effect<net.Socket, E> =>
  Effect.onExit(effect, (exit) => Effect.sync(() => exit._tag === "Success" || socket.destroy()))

/**
 * Opens a socket that leads to a host through a proxy. If that fails, nothing is left open.
 *
 * @internal
 * @category constructors
 * @since 0.1.0
 */
export const through =
  (proxy: HttpProxy, to: Destination, told: ToHostOptions, open: (to: Destination) => ReturnType<Open>) =>
  (restore: Parameters<Connecting<TransportReason>>[0]): Effect.Effect<net.Socket, TransportReason> => {
    const wrong = faultOf(proxy)
    if (wrong !== undefined) {
      return Effect.fail(new Proxy({ detail: `no HTTP proxy at ${hostPort(proxy)}: ${wrong}`, isRetryable: false }))
    }
    if (!told.permits(to.host)) return Effect.fail(new DeniedByPolicy({ detail: `may not dial ${to.host}` }))
    // Policy is not asked about the proxy's own IPs, because this program's configuration chose the proxy.
    const toProxy = toHost(proxy.host, { ...told, permits: () => true }, (ip) => open({ host: ip, port: proxy.port }))
    return toProxy(restore).pipe(
      Effect.mapError(
        (cause) =>
          new Proxy({
            detail: `no HTTP proxy at ${hostPort(proxy)}: ${cause.message}`,
            isRetryable: cause.isRetryable,
            cause
          })
      ),
      Effect.flatMap((socket) => ownedBy(socket, restore(exchange(socket, proxy, to))))
    )
  }
