/**
 * Which IPs a host name has, for transports that look names up. Read where a Multiserver layer is built. If the
 * application gives no resolver of its own, a transport asks the system's.
 */
import type * as Arr from "effect/Array"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { NameNotFound } from "./DialError.ts"

/**
 * One question about a name. It succeeds with the IPs of the name, the preferred ones first.
 *
 * @category models
 * @since 0.1.0
 */
export type Question = Effect.Effect<ReadonlyArray<string>, NameNotFound>

/**
 * The questions to ask about a host name. They are asked at the same time, and a dial begins with the first answers: a
 * resolver that asks for IPv6 and for IPv4 returns two questions. Answers that are not IPs are left out.
 *
 * It is never called with an IP, `localhost`, or an onion name. A question has to end when it is interrupted.
 *
 * @category models
 * @since 0.1.0
 */
export type Resolve = (host: string) => Arr.NonEmptyReadonlyArray<Question>

/**
 * The application's resolver: `Layer.succeed(Resolver.Resolver, (host) => [question])`. By default `undefined`: the
 * system's resolver is asked.
 *
 * @category references
 * @since 0.1.0
 */
export const Resolver: Context.Reference<Resolve | undefined> = Context.Reference<Resolve | undefined>(
  "effect-multiserver/Resolver",
  { defaultValue: () => undefined }
)
