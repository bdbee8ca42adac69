/** A worker process: builds the layer with what the parent tells it, and stops when the parent says so. */
import cluster from "node:cluster"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import { AddressError } from "../AddressError.ts"
import * as Events from "../Events.ts"
import * as Identity from "../Identity.ts"
import type { LimitValues } from "../Limits.ts"
import { ListenError, NotListenable } from "../ListenError.ts"
import type { Listener } from "../Listener.ts"
import { Inherited, InheritedSockets } from "../sockets/inherited.ts"
import { post } from "../workerChannel.ts"
import { WorkerHooks } from "../workerHooks.ts"
import { sharedBind } from "./bind.ts"
import { WorkersError } from "./errors.ts"
import { part } from "./limits.ts"
import { encodeFromWorker, encodeHappened, type FromWorker, type Init, type Places, toWorker } from "./messages.ts"

/** How many numbers for connections each worker process has. Those of the next process begin after them. */
const numbersOfEach = 1_000_000_000

/** Transports that bind ports of this machine, which several processes can share. */
const shared: ReadonlyArray<string> = ["net", "ws", "wss"]

/** Sends messages to the parent. When `flushed` succeeds, the system has taken all of them. */
class Told {
  private pending = 0
  private events: Array<Events.Event> = []
  private onFlushed: (() => void) | undefined

  private readonly done = (): void => {
    if (--this.pending === 0) this.onFlushed?.()
  }

  tell(message: FromWorker): void {
    this.pending++
    post(encodeFromWorker(message), this.done)
  }

  /** The events of one turn of the event loop are one message. */
  happened(event: Events.Event): void {
    if (this.events.push(event) > 1) return
    this.pending++
    setImmediate(() => post(encodeHappened(this.events.splice(0)), this.done))
  }

  readonly flushed: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.pending === 0) return resume(Effect.void)
    this.onFlushed = () => resume(Effect.void)
  })
}

/** Sends events while the parent takes them. An event that waits too long is lost, as with any sink, and counted. */
class Sent {
  private readonly told: Told
  private free: number
  private waiting: Array<() => void> = []
  private lost = 0

  constructor(told: Told, most: number) {
    this.told = told
    this.free = most
  }

  readonly sink: Events.Sink = (event) =>
    Effect.suspend(() => {
      if (this.free === 0) return Effect.andThen(this.room, this.sink(event))
      this.free--
      this.told.happened(event)
      return Effect.void
    })

  /** Succeeds when there may be room. */
  private readonly room: Effect.Effect<void> = Effect.callback((resume) => {
    const go = () => resume(Effect.void)
    this.waiting.push(go)
    return Effect.sync(() => {
      this.waiting = this.waiting.filter((each) => each !== go)
      this.lost++
    })
  })

  /** The parent has taken so many. */
  taken(events: number): void {
    this.free += events
    for (const go of this.waiting.splice(0)) go()
    if (this.lost > 0) this.told.tell({ _tag: "Lost", events: this.lost })
    this.lost = 0
  }
}

const notShared = ({ transport }: Address.Address): string => {
  const name = Address.sectionName(transport)
  return (
    `${name} belongs to one process, and can't be shared by workers: they share ${shared.join(", ")}; listen on ` +
    "this address without workers"
  )
}

/** An address without its host, which may be that of any interface. */
const withoutHost = ({ transforms, transport }: Address.Address): string => {
  const port = "port" in transport ? transport.port : 0
  const bare = new Address.Address({ transport: new Address.Net({ host: "host", port }), transforms })
  return `${transport._tag} ${Address.format(bare)}`
}

const placesOf = (listener: Listener): Places => {
  const texts = (scope: "device" | "local" | "public") => listener.addresses(scope).map(Address.format)
  const alike = new Set(listener.addresses(["device", "local", "public"]).map(withoutHost))
  return { device: texts("device"), local: texts("local"), public: texts("public"), alike: [...alike].sort() }
}

/** Waits for what the parent answers, and keeps listening to it until the scope closes. */
const introduced = (told: Told): Effect.Effect<Introduced, never, Scope.Scope> =>
  Effect.gen(function* () {
    const first = yield* Deferred.make<Init>()
    const stop = yield* Deferred.make<void>()
    let sent = new Sent(told, 1)
    const hear = (raw: unknown): void => {
      const message = Option.getOrUndefined(toWorker(raw))
      if (message?._tag === "Init") {
        sent = new Sent(told, message.events)
        Deferred.doneUnsafe(first, Effect.succeed(message))
      } else if (message?._tag === "Taken") sent.taken(message.events)
      else if (message?._tag === "Stop") Deferred.doneUnsafe(stop, Effect.void)
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => process.on("message", hear)),
      () => Effect.sync(() => void process.off("message", hear))
    )
    told.tell({ _tag: "Hello" })
    const init = yield* Deferred.await(first)
    return { init, sink: sent.sink, stop: Deferred.await(stop) }
  })

interface Introduced {
  readonly init: Init
  readonly sink: Events.Sink
  /** Succeeds when this worker is to stop. */
  readonly stop: Effect.Effect<void>
}

/** What the layer gets besides the context of the program. */
const given = (
  { init, sink }: Introduced,
  told: Told,
  listeners: Array<Places>,
  onLimits: (own: LimitValues) => void
) =>
  Effect.gen(function* () {
    const hooks: WorkerHooks = {
      isFirst: init.index === 0,
      firstId: init.before * numbersOfEach,
      part: (limits) => {
        onLimits(limits)
        return Effect.fromResult(part(limits, init.index, init.workers)).pipe(
          Effect.mapError((reason) => new WorkersError({ reason })),
          Effect.orDie
        )
      },
      listening: (addresses, listen) => {
        const other = addresses.find(({ transport }) => !shared.includes(transport._tag))
        if (other !== undefined) {
          const reason = new NotListenable({ detail: notShared(other) })
          return Effect.fail(new ListenError({ address: Address.format(other), reason }))
        }
        return Effect.tap(listen, (listener) => Effect.sync(() => void listeners.push(placesOf(listener))))
      }
    }
    const bind = sharedBind(init, (place, port) => told.tell({ _tag: "Bound", place, port }))
    const context = Context.make(WorkerHooks, hooks).pipe(
      Context.add(InheritedSockets, new Inherited([], [], bind)),
      Context.add(Events.Events, init.events === 0 ? [] : [sink])
    )
    if (init.secret === null) return context
    const identity = yield* Effect.orDie(Identity.parseSecretFile("the parent process", init.secret))
    return Context.add(context, Identity.Identity, identity)
  })

/** Tells why the layer could not be built. */
const failed = (cause: Cause.Cause<unknown>): FromWorker => {
  const found = cause.reasons
    .map((reason) =>
      Cause.isFailReason(reason) ? reason.error : Cause.isDieReason(reason) ? reason.defect : undefined
    )
    .find((each) => each instanceof ListenError || each instanceof AddressError || each instanceof WorkersError)
  return { _tag: "Failed", error: found ?? null, detail: Cause.pretty(cause) }
}

/**
 * Builds the layer, and keeps it until the parent or a signal stops this process. A failure to build it is told to the
 * parent, which reports it.
 */
export const run = <A, E, R>(layer: Layer.Layer<A, E, R>): Effect.Effect<void, never, R> =>
  Effect.suspend(() => {
    const told = new Told()
    const listeners: Array<Places> = []
    let grace = 0
    return Effect.gen(function* () {
      const parent = yield* introduced(told)
      const context = yield* given(parent, told, listeners, (limits) => {
        grace = Math.max(grace, Duration.toMillis(limits.grace) + Duration.toMillis(limits.close))
      })
      // A memo map of its own has each Multiserver built anew: one that was built before knows nothing of workers.
      const memoMap = yield* Layer.makeMemoMap
      const scope = yield* Effect.scope
      yield* Layer.buildWithMemoMap(layer, memoMap, scope).pipe(
        Effect.provideContext(context),
        Effect.tapCause((cause) =>
          Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.sync(() => told.tell(failed(cause)))
        ),
        Effect.catchCause(() => Effect.interrupt)
      )
      told.tell({ _tag: "Ready", listeners, graceMillis: grace })
      yield* parent.stop
    }).pipe(
      Effect.scoped,
      Effect.ensuring(
        Effect.andThen(
          told.flushed,
          Effect.sync(() => void cluster.worker?.disconnect())
        )
      )
    )
  })
