/**
 * Spans around what takes time and can fail: a dial, each of its attempts, handshakes, a listen, and the life of a
 * connection that was accepted. None for a frame, a read or a write.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"

/** Of OpenTelemetry's conventions where they have one, and otherwise of `multiserver`. Nothing secret. */
export type Attributes = Readonly<Record<string, string | number | undefined>>

interface Span {
  readonly name: `Multiserver.${"dial" | "attempt" | "handshake" | "listen" | "serve"}`
  readonly kind: Tracer.SpanKind
  /** A trace of its own: what a listener accepts is no part of what started the listener. */
  readonly root?: true
  /** Asked only when there is a span. */
  readonly attributes: () => Attributes
}

/** Puts a span around an effect, or leaves it as it is. */
export type Spanned = (
  span: Span
) => <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.Effect<A, E, Scope.Scope>

/** A span ends with an exit that a tracer sees. What was made is not in it: a link has keys. */
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
 * Whether there are spans is decided where a Multiserver is made: there are when its layer is given a `Tracer`. Without
 * one nobody would see a span, and none is made.
 */
export const makeSpanned: Effect.Effect<Spanned> = Effect.map(
  Effect.context<never>(),
  ({ mapUnsafe }: Context.Context<never>) => (mapUnsafe.has(Tracer.Tracer.key) ? spanned : unspanned)
)

/** The span around what runs now, where there are spans. */
export const parentOf = (spanned: Spanned, context: Context.Context<never>): Option.Option<Tracer.AnySpan> =>
  spanned === unspanned ? Option.none() : Context.getOption(context, Tracer.ParentSpan)
