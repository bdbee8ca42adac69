/**
 * What a third party's code throws ends its own connection, as a defect of its author with its cause: whoever uses that
 * connection dies of that very error, one event tells of it, and every other connection and the process go on.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Address from "../../src/Address.ts"
import * as Codec from "../../src/Codec.ts"
import * as Connection from "../../src/Connection.ts"
import { ConnectionError } from "../../src/ConnectionError.ts"
import { DialError, Refused } from "../../src/DialError.ts"
import * as Events from "../../src/Events.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { StaticReads } from "../../src/sockets/staticRead.ts"
import * as Transform from "../../src/Transform.ts"
import * as Transport from "../../src/Transport.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { echo, multiserver, protocols } from "../support/servers.ts"

const bound = "4 minutes"

// -----------------------------------------------------------------------------
// the third party's code
// -----------------------------------------------------------------------------

/** Where it throws. */
type Place =
  | "wrap"
  | "handshake"
  | "open"
  | "openHead"
  | "openBody"
  | "openApart"
  | "seal"
  | "sealEnd"
  | "wipe"
  | "the effect pull"
  | "the effect writeAll"
  | "the effect end"

type Role = "dial" | "listen"

/** What the next connection is to suffer from, on one of its sides. */
interface Fault {
  readonly role: Role
  readonly place: Place
  readonly error: Error
}

/** The fault of each connection is that of the moment in which it is made. */
interface Faults {
  current: Fault | undefined
}

const mayThrow = (faults: Faults, role: Role) => {
  const own = faults.current?.role === role ? faults.current : undefined
  return (place: Place): void => {
    if (own?.place === place) throw own.error
  }
}

/** Longer bodies can be opened apart. */
const endMark = 0xffff_ffff

const viewOf = ({ buffer, byteLength, byteOffset }: Uint8Array) => new DataView(buffer, byteOffset, byteLength)

/** A codec that seals nothing: a length of four bytes, and so many bytes. */
const codecOf = (check: (place: Place) => void, apart: boolean): Codec.Codec => {
  const inner = Codec.opener({
    head: 4,
    openHead: (sealed) => {
      check("openHead")
      const length = viewOf(sealed).getUint32(0)
      return length === endMark ? "end" : length
    },
    openBody: (sealed, plain) => {
      check("openBody")
      plain.set(sealed)
      return sealed.length
    },
    ...(apart && {
      openApart: (sealed) => {
        check("openApart")
        return new Uint8Array(sealed)
      }
    })
  })
  return {
    sealer: {
      head: 4,
      tail: 0,
      maxBody: 60_000,
      endLength: 4,
      seal: (stage, offset, length) => {
        check("seal")
        viewOf(stage).setUint32(offset, length)
      },
      sealEnd: (stage, offset) => {
        check("sealEnd")
        viewOf(stage).setUint32(offset, endMark)
      }
    },
    opener: {
      open: (input, out, room) => {
        check("open")
        return inner.open(input, out, room)
      }
    },
    wipe: () => check("wipe")
  }
}

/** `broken`: a transform whose handshake says nothing. */
const brokenTransform = (faults: Faults) => {
  const section = new Address.Opaque({ name: "broken", data: "" })
  const handshaken = (role: Role, peer: Connection.Peer) =>
    Effect.sync(() => {
      const check = mayThrow(faults, role)
      check("handshake")
      return { peer, section, codec: codecOf(check, faults.current?.place === "openApart") }
    })
  return Transform.layer("broken", {
    section: Address.section("broken", Schema.Literal("")),
    authenticates: false,
    outbound: (link) => {
      mayThrow(faults, "dial")("wrap")
      return Transform.fromCodec(link, () => handshaken("dial", link.peer))
    },
    inbound: (link) => {
      mayThrow(faults, "listen")("wrap")
      return Transform.fromCodec(link, () => handshaken("listen", link.peer))
    }
  })
}

/** `effects:NAME`: two ends that are queues, each a connection made of effects. */
const effectsTransport = (faults: Faults) => {
  type Direction = Queue.Queue<Connection.Chunks, Cause.Done>
  const listeners = new Map<string, Transport.OnAccepted>()
  const end = (role: Role, name: string, from: Direction, to: Direction) =>
    Effect.suspend(() => {
      const check = mayThrow(faults, role)
      const checked = (place: Place) => Effect.sync(() => check(place))
      return Connection.fromEffects({
        pull: Effect.andThen(checked("the effect pull"), Queue.take(from)),
        writeAll: (chunks) => Effect.andThen(checked("the effect writeAll"), Effect.asVoid(Queue.offer(to, chunks))),
        end: Effect.andThen(checked("the effect end"), Effect.asVoid(Queue.end(to))),
        destroy: () => void Effect.runSync(Queue.end(to)),
        halfClose: true,
        remote: new Address.Address({
          transport: new Address.Opaque({ name: "effects", data: `:${name}` }),
          transforms: []
        }),
        peer: new Connection.Anonymous()
      })
    })
  return Transport.layer("effects", {
    section: Address.section("effects", Schema.NonEmptyString),
    reach: () => "device",
    dial: (name) =>
      Effect.gen(function* () {
        const onAccepted = listeners.get(name)
        if (onAccepted === undefined) return yield* new Refused()
        const there: Direction = yield* Queue.unbounded<Connection.Chunks, Cause.Done>()
        const back: Direction = yield* Queue.unbounded<Connection.Chunks, Cause.Done>()
        return onAccepted(end("listen", "dialer", there, back), undefined)
          ? yield* end("dial", name, back, there)
          : yield* new Refused()
      }),
    listen: (name, onAccepted) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          listeners.set(name, onAccepted)
          return { section: new Address.Opaque({ name: "effects", data: `:${name}` }) }
        }),
        () => Effect.sync(() => listeners.delete(name))
      )
  })
}

// -----------------------------------------------------------------------------
// a case
// -----------------------------------------------------------------------------

const transports = {
  memory: "memory:m",
  net: "net:127.0.0.1:0",
  ws: "ws://127.0.0.1:0",
  effects: "effects:e"
} as const

const transforms = { bare: "", "on top": "~broken", "under shs": "~broken~shs" } as const

interface Case {
  readonly transport: keyof typeof transports
  /** Where the broken transform is. `bare`: nowhere. `under shs`: nobody is authenticated when it throws. */
  readonly position: "bare" | "on top" | "under shs"
  readonly role: Role
  readonly place: Place
}

const nameOf = ({ place, position, role, transport }: Case): string =>
  `${place} throws over ${transport}, ${position}, where one ${role}s`

/** How an effect ends, as words. */
const wordOf = (exit: Exit.Exit<unknown, unknown>, error: Error): string => {
  if (Exit.isSuccess(exit)) return "success"
  const defects = exit.cause.reasons.filter(Cause.isDieReason)
  if (defects.some(({ defect }) => defect === error)) return "dies of it"
  if (defects.length > 0) return `dies of ${defects[0]?.defect}`
  const failure = exit.cause.reasons.find(Cause.isFailReason)?.error
  if (Cause.isDone(failure)) return "the clean end"
  return failure instanceof ConnectionError ? failure.reason._tag : String(failure ?? "interrupted")
}

const some = new Uint8Array(10)
/** Opened apart where what is read is lent. */
const large = new Uint8Array(200_000)

/** What makes the other side's codec or effects do their work, and then whatever comes. */
const provoke = (connection: Connection.Connection, place: Place) =>
  Effect.gen(function* () {
    if (place !== "seal" && place !== "the effect writeAll") {
      yield* Effect.ignore(connection.write(place === "openApart" ? large : some))
    }
    return yield* Effect.exit(Effect.forever(connection.pull))
  })

/** What a user of the broken side does, operation by operation: how each ends. */
const suffer = (connection: Connection.Connection, place: Place) =>
  Effect.gen(function* () {
    const pull = Effect.forever(connection.pull)
    const write = Effect.forever(Effect.andThen(connection.write(some), connection.flush))
    if (place === "wipe") return [yield* Effect.exit(connection.end)]
    if (place === "sealEnd" || place === "the effect end") {
      return [yield* Effect.exit(connection.end), yield* Effect.exit(pull)]
    }
    const isWriting = place === "seal" || place === "the effect writeAll"
    return isWriting
      ? [yield* Effect.exit(write), yield* Effect.exit(pull)]
      : [yield* Effect.exit(pull), yield* Effect.exit(write)]
  })

/** That a healthy connection goes on. */
const echoes = (connection: Connection.Connection) =>
  Effect.gen(function* () {
    yield* connection.write(some)
    for (let have = 0; have < some.length; ) {
      for (const chunk of yield* connection.pull) have += chunk.length
    }
  })

/** Whether it happens before there is a connection to use. */
const isEarly = ({ place, position }: Case): boolean =>
  position === "under shs" || place === "wrap" || place === "handshake"

/** Whether this is what the fault of one side has to become. */
const tells = (event: Events.Event, subject: Case): boolean => {
  if (!("tag" in event) || String(event.tag) !== "Defect") return false
  return isEarly(subject) ? event._tag === "HandshakeFailed" : event._tag === "Closed" && event.role === subject.role
}

const protocolsOf = (faults: Faults, events: Queue.Queue<Events.Event>) =>
  Multiserver.layer([
    "memory~broken",
    "memory~broken~shs",
    "net~broken",
    "net~broken~shs",
    "ws~broken",
    "ws~broken~shs",
    "effects",
    "effects~broken",
    "effects~broken~shs"
  ]).pipe(
    Layer.provide([
      protocols(),
      WebSocket.layer(),
      brokenTransform(faults),
      effectsTransport(faults),
      Events.layer((event) => Effect.asVoid(Queue.offer(events, event)))
    ])
  )

/** Whether a dial failed because the peer has reset the connection at once. */
const isReset = (dialed: Exit.Exit<unknown, unknown>): boolean => {
  const error = Exit.isFailure(dialed) ? Cause.findError(dialed.cause) : undefined
  return (
    error?._tag === "Success" &&
    error.success instanceof DialError &&
    error.success.reason._tag === "Unreachable" &&
    error.success.reason.code === "ECONNRESET"
  )
}

/** Plays one case, and gives what is wrong, as words. */
const play = (subject: Case, error: Error) =>
  Effect.gen(function* () {
    const { place, position, role, transport } = subject
    const early = isEarly(subject)
    const faults: Faults = { current: undefined }
    const events = yield* Queue.unbounded<Events.Event>()
    const context = yield* Layer.build(protocolsOf(faults, events))
    return yield* Effect.gen(function* () {
      const wrong: Array<string> = []
      const check = (holds: boolean, what: string) => {
        if (!holds) wrong.push(what)
      }
      const listened = yield* Deferred.make<ReadonlyArray<Exit.Exit<unknown, unknown>>>()
      const listener = yield* Multiserver.listen(`${transports[transport]}${transforms[position]}`)
      yield* Effect.forkScoped(
        listener.run((connection) => {
          if (faults.current === undefined) return echo(connection)
          return role === "listen"
            ? Effect.flatMap(suffer(connection, place), (exits) => Deferred.succeed(listened, exits))
            : Effect.flatMap(provoke(connection, place), (exit) => Deferred.succeed(listened, [exit]))
        })
      )
      const address = String(listener.addresses()[0])
      const healthy = yield* Multiserver.dial(address)
      yield* echoes(healthy)

      faults.current = { role, place, error }
      const dialScope = yield* Scope.fork(yield* Effect.scope)
      const dialed = yield* Effect.exit(Scope.provide(Multiserver.dial(address), dialScope))
      if (early && role === "dial") {
        check(wordOf(dialed, error) === "dies of it", `the dial: ${wordOf(dialed, error)}`)
      } else if (position === "under shs") {
        check(Exit.isFailure(dialed) && !Cause.hasDies(dialed.cause), `the dial: ${wordOf(dialed, error)}`)
      } else if (early) {
        // The listener's side alone: the dialer's handshake says nothing, and may be through.
      } else if (Exit.isFailure(dialed)) {
        // Over bare TCP the listener's side is reset, which may come with the connect.
        check(role === "listen" && transport === "net" && isReset(dialed), `the dial: ${wordOf(dialed, error)}`)
      } else {
        const connection = dialed.value
        const broken =
          role === "dial"
            ? yield* suffer(connection, place)
            : yield* Effect.andThen(provoke(connection, place), Deferred.await(listened))
        const words = broken.map((exit) => wordOf(exit, error))
        if (place === "wipe") check(words[0] === "success" || words[0] === "dies of it", `its end: ${words[0]}`)
        else
          check(
            words.every((word) => word === "dies of it"),
            `its user: ${words.join(", then ")}`
          )
      }
      const left = wordOf(yield* Effect.exit(Scope.close(dialScope, Exit.void)), error)
      check(left === "success" || (place === "wipe" && left === "dies of it"), `leaving: ${left}`)

      faults.current = undefined
      // A dial that dies tells its caller.
      if (role === "listen" || !early) {
        for (let told = false; !told; ) told = tells(yield* Queue.take(events), subject)
      }
      yield* echoes(healthy)
      yield* echoes(yield* Multiserver.dial(address))
      return wrong
    }).pipe(Effect.provide(context))
  }).pipe(Effect.scoped)

/** What reaches the process as long as the scope. The runner would take it for a failure of whatever runs just then. */
const escaped: Effect.Effect<ReadonlyArray<unknown>, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const thrown: Array<unknown> = []
    const others = process.listeners("uncaughtException")
    process.removeAllListeners("uncaughtException")
    process.on("uncaughtException", (error) => thrown.push(error))
    return { thrown, others }
  }),
  ({ others }) =>
    Effect.sync(() => {
      process.removeAllListeners("uncaughtException")
      for (const other of others) process.on("uncaughtException", other)
    })
).pipe(Effect.map(({ thrown }) => thrown))

/** Plays all at once, and gives what is wrong with each that isn't right. */
const troubles = (cases: ReadonlyArray<Case>) =>
  Effect.gen(function* () {
    const thrown = yield* escaped
    const wrong = new Map<string, string>()
    const each = (subject: Case) =>
      Effect.gen(function* () {
        const name = nameOf(subject)
        const error = new Error(name)
        wrong.set(name, "hangs")
        const exit = yield* Effect.exit(play(subject, error))
        const found = Exit.isSuccess(exit) ? [...exit.value] : [Cause.pretty(exit.cause)]
        if (thrown.includes(error)) found.push("it reaches the process")
        if (found.length === 0) wrong.delete(name)
        else wrong.set(name, found.join("; "))
      })
    yield* Effect.timeoutOption(Effect.forEach(cases, each, { concurrency: "unbounded" }), bound)
    for (const [name, what] of wrong) {
      if (what === "hangs" && thrown.some((error) => error instanceof Error && error.message === name)) {
        wrong.set(name, "hangs; it reaches the process")
      }
    }
    return [...wrong].map(([name, what]) => `${name}: ${what}`)
  }).pipe(Effect.scoped)

const onTop: ReadonlyArray<Place> = ["wrap", "handshake", "open", "openHead", "openBody", "seal", "sealEnd", "wipe"]
const underShs: ReadonlyArray<Place> = ["open", "openHead", "openBody", "seal"]
const apart: ReadonlyArray<Place> = ["openApart"]
const flowing: ReadonlyArray<Place> = ["the effect pull", "the effect writeAll"]

const casesOf = (transport: Case["transport"]): ReadonlyArray<Case> => {
  const each = (position: Case["position"], places: ReadonlyArray<Place>) =>
    places.flatMap((place) => (["dial", "listen"] as const).map((role): Case => ({ transport, position, role, place })))
  const isNet = transport === "net"
  const isEffects = transport === "effects"
  return [
    // Only what is read into the buffer that all sockets share is opened apart.
    ...each("on top", [
      ...onTop,
      ...(isNet && Context.get(Context.empty(), StaticReads) ? apart : []),
      ...(isEffects ? flowing : [])
    ]),
    ...each("under shs", [...underShs, ...(isEffects ? flowing : [])]),
    ...each("bare", isEffects ? [...flowing, "the effect end"] : [])
  ]
}

describe.each(Object.keys(transports) as ReadonlyArray<Case["transport"]>)(
  "a third party's code over %s",
  (transport) => {
    it.live(
      "ends its own connection as a defect, and nothing else, wherever it throws",
      () =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* troubles(casesOf(transport)), [])
        }),
      300_000
    )
  }
)

// -----------------------------------------------------------------------------
// a user's code
// -----------------------------------------------------------------------------

/** What a user does with a connection, and throws in it. */
const misuses: Readonly<
  Record<string, (connection: Connection.Connection, error: Error) => Effect.Effect<unknown, unknown>>
> = {
  "a handler that throws": (_, error) => {
    throw error
  },
  "a handler that dies": (_, error) => Effect.die(error),
  "a callback of forEachChunk that throws": (connection, error) =>
    Connection.forEachChunk(connection, () => {
      throw error
    }),
  "a callback of forEachChunk whose effect dies": (connection, error) =>
    Connection.forEachChunk(connection, () => Effect.die(error)),
  "a callback of forEachChunk that throws, over a connection that was copied": (connection, error) =>
    Connection.forEachChunk({ ...connection }, () => {
      throw error
    })
}

describe.each(Object.entries(misuses))("%s", (name, misuse) => {
  it.live.each(["memory:m", "memory:m~shs", "net:127.0.0.1:0", "net:127.0.0.1:0~shs"])(
    "ends its own connection as a defect, and nothing else, over %s",
    (target) =>
      Effect.gen(function* () {
        const events = yield* Queue.unbounded<Events.Event>()
        const context = yield* Layer.build(
          multiserver().pipe(Layer.provide(Events.layer((event) => Effect.asVoid(Queue.offer(events, event)))))
        )
        yield* Effect.gen(function* () {
          const thrown = yield* escaped
          const error = new Error(name)
          const ended = yield* Deferred.make<Exit.Exit<unknown, unknown>>()
          let throws = false
          const listener = yield* Multiserver.listen(target)
          yield* Effect.forkScoped(
            listener.run((connection) =>
              throws
                ? Effect.onExit(
                    Effect.suspend(() => misuse(connection, error)),
                    (exit) => Deferred.succeed(ended, exit)
                  )
                : echo(connection)
            )
          )
          const address = String(listener.addresses()[0])
          const healthy = yield* Multiserver.dial(address)
          yield* echoes(healthy)
          throws = true
          const dialed = yield* Effect.exit(Multiserver.dial(address))
          // Over bare TCP it is reset, which may come with the connect.
          if (Exit.isFailure(dialed)) assert.isTrue(isReset(dialed) && !target.includes("~"))
          if (Exit.isSuccess(dialed)) yield* Effect.ignore(dialed.value.write(some))
          assert.strictEqual(wordOf(yield* Deferred.await(ended), error), "dies of it")
          const seen = Exit.isFailure(dialed)
            ? "Reset"
            : wordOf(yield* Effect.exit(Effect.forever(dialed.value.pull)), error)
          // A bare stream has nothing that tells an end from a clean one.
          assert.include(["Truncated", "Reset", ...(target.endsWith("~shs") ? [] : ["the clean end"])], seen)
          throws = false
          for (let told = false; !told; ) {
            const event = yield* Queue.take(events)
            if (event._tag !== "Closed" || event.role !== "listen") continue
            assert.strictEqual(String(event.tag), "Defect")
            told = true
          }
          yield* echoes(healthy)
          yield* echoes(yield* Multiserver.dial(address))
          assert.deepStrictEqual(thrown, [])
        }).pipe(Effect.provide(context))
      })
  )
})
