/**
 * Node's two resolvers. `system` is `dns.lookup`, which knows what only the system knows: the hosts file, `.local`,
 * search domains, the names of a VPN. `layerDns` asks DNS servers itself (c-ares, Node's `dns.Resolver`).
 *
 * The system's look-ups run on Node's threads, two at a time by default, and can't be cancelled. So two names whose
 * servers never answer hold up every other look-up of the process. With `layerDns` no look-up waits for another.
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

/** One look-up, and the callbacks that wait for its answer. */
interface Lookup {
  readonly host: string
  readonly waiting: Set<(answer: Answer) => void>
  isUnderWay: boolean
}

/**
 * Asks the system for a host's IPs: `dns.lookup`, or what a test puts in its place.
 *
 * @category models
 * @since 0.1.0
 */
export type Ask = (
  host: string,
  answer: (error: NodeJS.ErrnoException | null, found: ReadonlyArray<dns.LookupAddress>) => void
) => void

const askSystem: Ask = (host, answer) => dns.lookup(host, { all: true }, (error, found) => answer(error, found ?? []))

/** The number of look-ups that libuv runs at once. It gives slow work, such as look-ups, half of its threads. */
const threadsForLookups = (): number => {
  const threads = Number(process.env.UV_THREADPOOL_SIZE ?? 4)
  return Number.isInteger(threads) && threads > 0 ? (Math.min(threads, 1024) + 1) >> 1 : 2
}

/**
 * Runs look-ups that can't be cancelled, at most `most` at a time. Dials of one name share a look-up. A look-up that
 * has not begun is dropped when the last dial that wanted it gives up, so that it does not delay others.
 *
 * @category models
 * @since 0.1.0
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

  /** Begins waiting look-ups, in order, while fewer than `most` run. */
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

/**
 * The system's resolver, and the default. There is one for the process, because all look-ups share Node's threads.
 *
 * @category constructors
 * @since 0.1.0
 */
export const system: Resolve = new Lookups().resolve

// -----------------------------------------------------------------------------
// DNS servers
// -----------------------------------------------------------------------------

/**
 * Which DNS servers are asked, and for how long.
 *
 * @category options
 * @since 0.1.0
 */
export interface DnsOptions {
  /** The servers, in order: `192.0.2.53`, `192.0.2.53:5353`, `[2001:db8::53]:53`. By default the system's servers. */
  readonly servers?: ReadonlyArray<string>
  /** How long one server may take before the next server, or the same one, is asked. By default 2 seconds. */
  readonly timeout?: Duration.Input
  /** How many times each server is asked. By default 2. */
  readonly tries?: number
}

/**
 * The DNS options can't be used: one of `servers` is not an IP with or without a port, or what `detail` says.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadDnsServer extends Schema.TaggedError<BadDnsServer>("effect-multiserver/BadDnsServer")("BadDnsServer", {
  servers: Schema.Array(Schema.String),
  detail: Schema.optional(Schema.String),
  cause: Schema.Defect()
}) {
  override get message(): string {
    if (this.detail !== undefined) return `the options for DNS servers can't be used: ${this.detail}`
    return `a DNS server must be an IP, with or without a port (192.0.2.53:5353). Given: ${this.servers.join(", ")}`
  }
}

/** Whether a name means this machine. No server is asked for it. */
const isLocalhost = (host: string): boolean => /^(.+\.)?localhost\.?$/i.test(host)

/** An infinite timeout becomes the longest that Node's timers allow. */
const resolverOptions = ({ timeout = "2 seconds", tries = 2 }: DnsOptions): dns.ResolverOptions => ({
  timeout: timerMillis(timeout) ?? maxTimerMillis,
  tries
})

/**
 * A resolver that asks DNS servers for IPv6 and IPv4 at once. It reads no hosts file and knows no `.local` names and no
 * search domains. `localhost` is this machine. Nothing is cached: each dial asks. The options are not checked here, but
 * by `layerDns`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromDns = (options: DnsOptions = {}): Resolve => {
  const { servers } = options
  const asking = resolverOptions(options)
  return (host) => {
    if (isLocalhost(host)) return [Effect.succeed(["127.0.0.1", "::1"])]
    const ask = (query: "resolve4" | "resolve6"): Question =>
      Effect.callback((resume) => {
        // One resolver for each question, so that an interruption cancels this question and no other.
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

/**
 * Makes a Multiserver resolve names with DNS servers: see `fromDns`. Fails with `BadDnsServer` if the options can't be
 * used.
 *
 * @category layers
 * @since 0.1.0
 */
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
