/**
 * Which IPs a host name has, for transports that look names up. Read where a Multiserver layer is built. Without a
 * resolver of the application's own, a transport asks the system's.
 */
import type * as Arr from "effect/Array"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { NameNotFound } from "./DialError.ts"

/** One question about a name: the IPs that it has, the preferred ones first. */
export type Question = Effect.Effect<ReadonlyArray<string>, NameNotFound>

/**
 * The questions to ask about a host name. They are asked at once, and a dial begins with the first answers: a resolver
 * that asks for IPv6 and for IPv4 gives two questions. What is no IP in an answer is left out.
 *
 * It is never asked about an IP, `localhost`, or an onion name. An interruption has to end a question.
 */
export type Resolve = (host: string) => Arr.NonEmptyReadonlyArray<Question>

/**
 * The application's resolver: `Layer.succeed(Resolver.Resolver, (host) => [question])`. By default `undefined`, which
 * is the system's.
 */
export const Resolver: Context.Reference<Resolve | undefined> = Context.Reference<Resolve | undefined>(
  "effect-multiserver/Resolver",
  { defaultValue: () => undefined }
)
