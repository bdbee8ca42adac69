/** `multiserver listen`: one peer bridged to stdio, or many echoed. */

import * as Cause from "effect/Cause"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Address from "../Address.ts"
import type * as Connection from "../Connection.ts"
import type { ConnectionError } from "../ConnectionError.ts"
import { Primitives } from "../crypto/Primitives.ts"
import * as Sodium from "../crypto/Sodium.ts"
import * as Events from "../Events.ts"
import * as Identity from "../Identity.ts"
import type * as Listener from "../Listener.ts"
import * as Multiserver from "../Multiserver.ts"
import * as Policy from "../Policy.ts"
import type { Applicant } from "../shs/Shs.ts"
import * as Addresses from "./addresses.ts"
import { type Event, fromLibrary, Reporter, report } from "./events.ts"
import { type LocalError, UsageError } from "./exit.ts"
import * as Keys from "./keys.ts"
import * as Stacks from "./stacks.ts"
import { bridge, type StdoutClosed } from "./stdio.ts"

// -----------------------------------------------------------------------------
// who is let in
// -----------------------------------------------------------------------------

const parseAllowed = (texts: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<Identity.PublicKey>, UsageError> =>
  Effect.forEach(texts, (text) => {
    const key = Identity.parsePublicKey(text)
    return key === undefined
      ? Effect.fail(new UsageError({ kind: "BadValue", message: "--allow takes base64 of a 32-byte public key" }))
      : Effect.succeed(key)
  })

/** Every peer when no key is named. All keys are compared, so that the time tells nothing of which one it is. */
const authorize =
  (allowed: ReadonlyArray<Identity.PublicKey>) =>
  ({ publicKey }: Applicant): Effect.Effect<boolean, never, Primitives> =>
    Primitives.useSync(
      ({ equal }) => allowed.length === 0 || allowed.map((key) => equal(key, publicKey)).includes(true)
    )

/** A list of keys on a stack that proves none would look like a lock and be none. */
const checkAllowed = (
  addresses: Address.MultiAddress,
  allowed: ReadonlyArray<Identity.PublicKey>
): Effect.Effect<void, UsageError> => {
  const open = addresses.find((each) => !Stacks.authenticates(each))
  return allowed.length === 0 || open === undefined
    ? Effect.void
    : Effect.fail(
        new UsageError({ kind: "Conflict", message: `--allow: ${open.stack} does not authenticate its peers` })
      )
}

// -----------------------------------------------------------------------------
// what is done with connections
// -----------------------------------------------------------------------------

type BridgeError = ConnectionError | StdoutClosed | LocalError

const echo = (connection: Connection.Connection): Effect.Effect<void, ConnectionError> =>
  connection.pull.pipe(
    Effect.flatMap(connection.writeAll),
    Effect.forever({ disableYield: true }),
    Effect.catchIf(Cause.isDone, () => Effect.void)
  )

/** What a listener does with its connections, and when it is done. */
interface Serving<R> {
  readonly handler: Listener.Handler<BridgeError, R>
  readonly mayConnect: () => boolean
  /** How the one connection went; never, when there are many. */
  readonly outcome: Effect.Effect<void, BridgeError>
}

const many = <R>(handler: Listener.Handler<BridgeError, R>): Serving<R> => ({
  handler,
  mayConnect: () => true,
  outcome: Effect.never
})

/** The first connection that is handshaken, and no other. */
const once = <R>(handler: (connection: Connection.Connection) => Effect.Effect<void, BridgeError, R>): Serving<R> => {
  const outcome = Deferred.makeUnsafe<void, BridgeError>()
  let taken = false
  return {
    handler: (connection) =>
      Effect.suspend(() => {
        if (taken) return Effect.interrupt
        taken = true
        return handler(connection).pipe(
          Effect.onExit((exit) => Deferred.done(outcome, exit)),
          // Not all was said, so no goodbye is.
          Effect.catchTag(["StdoutClosed", "LocalError"], () => Effect.interrupt)
        )
      }),
    mayConnect: () => !taken,
    outcome: Deferred.await(outcome)
  }
}

// -----------------------------------------------------------------------------
// events
// -----------------------------------------------------------------------------

/** The library's events, held back until `listening` has been said. */
const held = Effect.map(Reporter, ({ say }) => {
  let early: Array<Event> | undefined = []
  const sink: Events.Sink = (event) =>
    Effect.suspend(() => {
      const own = fromLibrary(event)
      if (own === undefined) return Effect.void
      if (early === undefined) return say(own)
      early.push(own)
      return Effect.void
    })
  const release = Effect.suspend(() => {
    const waiting = early ?? []
    early = undefined
    return Effect.forEach(waiting, say, { discard: true })
  })
  return { sink, release }
})

/** Every way to reach the listener, nearest first. */
const reachable = (listener: Listener.Listener): ReadonlyArray<string> => {
  const all = (["device", "local", "public"] as const).flatMap((scope) => listener.addresses(scope))
  return [...new Set(all.map(Address.format))]
}

// -----------------------------------------------------------------------------
// command
// -----------------------------------------------------------------------------

export const listen = Command.make("listen", {
  addresses: Addresses.address.pipe(
    Argument.withDescription("What to listen on; port 0 takes any that is free"),
    Argument.variadic()
  ),
  addressFile: Addresses.fileFlag,
  ...Keys.flags,
  allow: Flag.String("allow").pipe(
    Flag.withMetavar("KEY"),
    Flag.withDescription(
      "Let in who holds this public key; can be repeated. Without it, every peer that passes the handshake"
    ),
    Flag.atLeast(0)
  ),
  echo: Flag.Boolean("echo").pipe(
    Flag.withDescription("Serve many peers, and send each one back what it sends"),
    Flag.withDefault(false)
  ),
  once: Flag.Boolean("once").pipe(
    Flag.withDescription("Stop after one connection, as without --echo"),
    Flag.withDefault(false)
  )
}).pipe(
  Command.withDescription(
    "Listen on addresses. One peer is bridged to stdin and stdout, or with --echo many are served. SIGINT and SIGTERM let connections finish; a second one ends at once."
  ),
  Command.withShortDescription("Bridge one peer to stdin and stdout, or echo many"),
  Command.withExamples([
    {
      command: "multiserver listen net:127.0.0.1:8008~shs --key-file secret",
      description: "One peer on stdin and stdout"
    },
    {
      command: "multiserver listen net:127.0.0.1:0~shs --echo --json",
      description: "An echo server, with JSON events on stderr"
    }
  ]),
  Command.withHandler((input) =>
    Effect.gen(function* () {
      const { addresses, exposed } = yield* Addresses.given(input.addresses, input.addressFile)
      const allowed = yield* parseAllowed(input.allow)
      yield* checkAllowed(addresses, allowed)
      const appKey = yield* Keys.appKey(input)
      const events = yield* held
      const handler = input.echo ? echo : bridge
      const serving = input.echo && !input.once ? many(handler) : once(handler)

      yield* Effect.gen(function* () {
        const listener = yield* Multiserver.listen(addresses)
        yield* report({ event: "listening", addresses: reachable(listener) })
        if (exposed) yield* report(Addresses.exposedWarning)
        yield* events.release
        yield* Effect.raceFirst(listener.run(serving.handler), serving.outcome)
      }).pipe(
        Effect.scoped,
        Effect.catchTag("StdoutClosed", () => Effect.void),
        Effect.provide(
          Stacks.layer({ appKey, authorize: authorize(allowed) }).pipe(
            Layer.provide([
              Keys.identity(input.keyFile),
              Layer.succeed(Events.Events, events.sink),
              Layer.succeed(Policy.Policy, { ...Policy.allowAll, mayConnect: serving.mayConnect })
            ]),
            Layer.provide(Sodium.layer)
          )
        )
      )
    })
  )
)
