/**
 * Spans around what takes time and can fail: a dial, each of its attempts, handshakes, a listen, and the life of an
 * accepted connection. A frame, a read or a write has no span.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"

/** Named as in OpenTelemetry's conventions where these have a name, and otherwise `multiserver.*`. Never a secret. */
export type Attributes = Readonly<Record<string, string | number | undefined>>

interface Span {
  readonly name: `Multiserver.${"dial" | "attempt" | "handshake" | "listen" | "serve"}`
  readonly kind: Tracer.SpanKind
  /** Begins a trace of its own: an accepted connection is not part of what started the listener. */
  readonly root?: true
  /** Called only when there is a span. */
  readonly attributes: () => Attributes
}

/** Puts a span around an effect, or leaves it as it is. */
export type Spanned = (
  span: Span
) => <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.Effect<A, E, Scope.Scope>

/** Runs an effect in a span. A tracer sees the exit of a span, so the result is kept out of it: a link has keys. */
const spanned: Spanned =
  ({ attributes, kind, name, root = false }) =>
  <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) =>
    Effect.suspend(() => {
      let made: Option.Option<A> = Option.none()
      const run = Effect.map(effect, (value) => {
        made = Option.some(value)
      })
      return Effect.map(Effect.withSpan(run, name, { attributes: attributes(), kind, root }), () =>
        Option.getOrThrow(made)
      )
    })

/** The span of all handshakes of one connection. */
export const handshakeSpan = (spanned: Spanned, stack: string, kind: "client" | "server") =>
  spanned({ name: "Multiserver.handshake", kind, attributes: () => ({ "multiserver.stack": stack }) })

const unspanned: Spanned = () => identity

/**
 * Decides, where a Multiserver is made, whether there are spans: only when its layer is given a `Tracer`. Without a
 * tracer nobody would see them.
 */
export const makeSpanned: Effect.Effect<Spanned> = Effect.map(
  Effect.context<never>(),
  ({ mapUnsafe }: Context.Context<never>) => (mapUnsafe.has(Tracer.Tracer.key) ? spanned : unspanned)
)

/** The tag of the innermost reason: `Rejected`, for example, and not `HandshakeError`. */
const errorType = (error: unknown): string => {
  if (Predicate.hasProperty(error, "reason")) return errorType(error.reason)
  return Predicate.hasProperty(error, "_tag") ? String(error._tag) : "_OTHER"
}

/** Says in the current span why an effect fails, where there are spans. A dial does without, because pages load it. */
export const withErrorType =
  (spanned: Spanned) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    spanned === unspanned
      ? effect
      : Effect.tapError(effect, (error) => Effect.annotateCurrentSpan("error.type", errorType(error)))

/** The current span of a context, where there are spans. */
export const parentOf = (spanned: Spanned, context: Context.Context<never>): Option.Option<Tracer.AnySpan> =>
  spanned === unspanned ? Option.none() : Context.getOption(context, Tracer.ParentSpan)
