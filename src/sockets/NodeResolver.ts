/**
 * Node's two resolvers. `system` is `dns.lookup`, which knows what only the system knows: the hosts file, `.local`,
 * search domains, the names of a VPN. `layerDns` asks DNS servers by itself (c-ares, Node's `dns.Resolver`).
 *
 * The system's look-ups run in threads of Node's, two at a time by default, and can't be taken back: two names whose
 * servers never answer hold up every other look-up of the process. With `layerDns` none waits for another.
 */
import * as dns from "node:dns"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { NameNotFound } from "../DialError.ts"
import { type Question, type Resolve, Resolver } from "../Resolver.ts"
import { maxTimerMillis, timerMillis } from "../timerMillis.ts"

const notFound = (host: string, cause: NodeJS.ErrnoException) =>
  new NameNotFound({ host, code: cause.code ?? "UNKNOWN", cause })

// -----------------------------------------------------------------------------
// the system's
// -----------------------------------------------------------------------------

type Answer = Effect.Effect<ReadonlyArray<string>, NameNotFound>

/** One look-up, and who waits for its answer. */
interface Lookup {
  readonly host: string
  readonly waiting: Set<(answer: Answer) => void>
  isUnderWay: boolean
}

/** What asks the system: `dns.lookup`, or a test's. */
export type Ask = (
  host: string,
  answer: (error: NodeJS.ErrnoException | null, found: ReadonlyArray<dns.LookupAddress>) => void
) => void

const askSystem: Ask = (host, answer) => dns.lookup(host, { all: true }, (error, found) => answer(error, found ?? []))

/** The number of look-ups that libuv runs at once. It gives work that may be slow half of its threads. */
const threadsForLookups = (): number => {
  const threads = Number(process.env.UV_THREADPOOL_SIZE ?? 4)
  return Number.isInteger(threads) && threads > 0 ? (Math.min(threads, 1024) + 1) >> 1 : 2
}

/**
 * Look-ups that can't be interrupted, `most` at a time. Those of one name are one. One that waits is forgotten with the
 * last that wanted it, so that dials which have given up hold up nobody.
 */
export class Lookups {
  private readonly ask: Ask
  private readonly most: number
  private readonly byHost = new Map<string, Lookup>()
  private underWay = 0

  constructor(ask: Ask = askSystem, most: number = threadsForLookups()) {
    this.ask = ask
    this.most = most
  }

  readonly resolve = (host: string): readonly [Question] => [
    Effect.callback((resume) => {
      const lookup = this.byHost.get(host) ?? { host, waiting: new Set(), isUnderWay: false }
      this.byHost.set(host, lookup)
      const hear = (answer: Answer) => resume(answer)
      lookup.waiting.add(hear)
      this.advance()
      return Effect.sync(() => {
        lookup.waiting.delete(hear)
        if (lookup.waiting.size === 0 && !lookup.isUnderWay) this.byHost.delete(host)
      })
    })
  ]

  /** Begins those that come next, as long as there is a place. */
  private advance(): void {
    for (const lookup of this.byHost.values()) {
      if (this.underWay >= this.most) return
      if (!lookup.isUnderWay) this.begin(lookup)
    }
  }

  private begin(lookup: Lookup): void {
    lookup.isUnderWay = true
    this.underWay++
    const { host, waiting } = lookup
    this.ask(host, (error, found) => {
      this.underWay--
      this.byHost.delete(host)
      const answer: Answer =
        error === null ? Effect.succeed(found.map(({ address }) => address)) : Effect.fail(notFound(host, error))
      for (const hear of waiting) hear(answer)
      this.advance()
    })
  }
}

/** The system's resolver. One for the process, because all share Node's threads. */
export const system: Resolve = new Lookups().resolve

// -----------------------------------------------------------------------------
// DNS servers
// -----------------------------------------------------------------------------

/** Which DNS servers are asked, and for how long. */
export interface DnsOptions {
  /** Whom to ask, in order: `192.0.2.53`, `192.0.2.53:5353`, `[2001:db8::53]:53`. By default the system's servers. */
  readonly servers?: ReadonlyArray<string>
  /** How long one server may take before the next one is asked, or the same again. By default 2 seconds. */
  readonly timeout?: Duration.Input
  /** How many times each server is asked. By default 2. */
  readonly tries?: number
}

/** One of the DNS servers is no IP, with or without a port. With a `detail`: an option can't be used. */
export class BadDnsServer extends Schema.TaggedError<BadDnsServer>("effect-multiserver/BadDnsServer")("BadDnsServer", {
  servers: Schema.Array(Schema.String),
  detail: Schema.optional(Schema.String),
  cause: Schema.Defect()
}) {
  override get message(): string {
    if (this.detail !== undefined) return `DNS servers can't be asked like that: ${this.detail}`
    return `DNS servers are IPs, with a port if need be (192.0.2.53:5353), which ${this.servers.join(", ")} are not`
  }
}

/** A name for this machine is never asked of anybody. */
const isLocalhost = (host: string): boolean => /^(.+\.)?localhost\.?$/i.test(host)

/** An infinite timeout becomes the longest that a timer of Node's can have. */
const resolverOptions = ({ timeout = "2 seconds", tries = 2 }: DnsOptions): dns.ResolverOptions => ({
  timeout: timerMillis(timeout) ?? maxTimerMillis,
  tries
})

/**
 * Asks DNS servers for IPv6 and IPv4 at once. It reads no hosts file and knows no `.local` names and no search domains;
 * `localhost` is this machine. Nothing is kept: each dial asks.
 */
export const fromDns = (options: DnsOptions = {}): Resolve => {
  const { servers } = options
  const asking = resolverOptions(options)
  return (host) => {
    if (isLocalhost(host)) return [Effect.succeed(["127.0.0.1", "::1"])]
    const ask = (query: "resolve4" | "resolve6"): Question =>
      Effect.callback((resume) => {
        // One for each question, so that an interruption takes back this one and no other.
        const resolver = new dns.Resolver(asking)
        if (servers !== undefined) resolver.setServers(servers)
        resolver[query](host, (error, ips) =>
          resume(error === null ? Effect.succeed(ips) : Effect.fail(notFound(host, error)))
        )
        return Effect.sync(() => resolver.cancel())
      })
    return [ask("resolve6"), ask("resolve4")]
  }
}

/** A Multiserver's resolver that asks DNS servers: see `fromDns`. */
export const layerDns = (options: DnsOptions = {}): Layer.Layer<never, BadDnsServer> =>
  Layer.effect(
    Resolver,
    Effect.gen(function* () {
      const { servers = [] } = options
      const resolver = yield* Effect.try({
        try: () => new dns.Resolver(resolverOptions(options)),
        catch: (cause) =>
          new BadDnsServer({ servers, detail: cause instanceof Error ? cause.message : String(cause), cause })
      })
      yield* Effect.try({
        try: () => options.servers && resolver.setServers(options.servers),
        catch: (cause) => new BadDnsServer({ servers, cause })
      })
      return fromDns(options)
    })
  )
