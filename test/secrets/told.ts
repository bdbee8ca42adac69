/**
 * Records what the code of this process says: errors as they are made, spans as they end, events as they are told, and
 * the console. A module of its own, because a process that runs several test files runs it once.
 */
import * as util from "node:util"
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"
import * as AddressError from "../../src/AddressError.ts"
import * as ConnectionError from "../../src/ConnectionError.ts"
import * as DialError from "../../src/DialError.ts"
import * as Events from "../../src/Events.ts"
import * as HandshakeError from "../../src/HandshakeError.ts"
import * as Identity from "../../src/Identity.ts"
import * as ListenError from "../../src/ListenError.ts"
import { recorder } from "./recorder.ts"

export const kinds = ["errors", "spans", "events", "console"] as const

/** The same again says nothing new. */
const said = new Set<string>()
const say = (kind: (typeof kinds)[number], text: string): void => {
  if (said.has(text)) return
  if (said.size < 10_000) said.add(text)
  recorder.say(kind, `${text}\n`)
}
/** How many of one sort a test file shows. A sort that says a secret says it each time, and to show a value is dear. */
const most = 100
const shown = new Map<string, number>()
const isEnough = (sort: string): boolean => {
  const count = (shown.get(sort) ?? 0) + 1
  shown.set(sort, count)
  return count > most
}
/** For another test file, which says its own. */
export const begin = (): void => {
  said.clear()
  shown.clear()
}

const tagIn = (value: unknown): string =>
  value instanceof Object && "_tag" in value ? String(value._tag) : String(value)

const show = (value: unknown): string =>
  util.inspect(value, { depth: 8, maxArrayLength: 200, breakLength: Number.POSITIVE_INFINITY })

/** A class's parent is asked for when an instance is made: one that tells of it can be put between. */
for (const module of [AddressError, ConnectionError, DialError, HandshakeError, Identity, ListenError]) {
  for (const Class of Object.values(module)) {
    if (typeof Class !== "function" || !(Class.prototype instanceof Error)) continue
    const parent = new Proxy(Object.getPrototypeOf(Class), {
      construct: (target, args, Made) => {
        const error = Reflect.construct(target, args, Made)
        const reason = tagIn(Reflect.get(error, "reason"))
        if (!isEnough(`error ${Made.name} ${reason}`))
          say("errors", `${error.message} ${JSON.stringify(error)} ${show({ ...error })}`)
        return error
      }
    })
    Object.setPrototypeOf(Class, parent)
  }
}

const { end } = Tracer.NativeSpan.prototype
Tracer.NativeSpan.prototype.end = function (time, exit) {
  if (!isEnough(`span ${this.name} ${exit._tag}`))
    say("spans", `${this.name} ${show([this.attributes, this.events, exit])}`)
  return end.call(this, time, exit)
}

const seen: Events.Sink = (event) =>
  Effect.sync(() => {
    if (!isEnough(`event ${event._tag} ${"tag" in event ? event.tag : ""} ${"stack" in event ? event.stack : ""}`))
      say("events", `${show(event)} ${JSON.stringify(event)}`)
  })
const told = Effect.map(Events.Events, (sinks) => [seen, ...sinks])
Object.defineProperty(Events.Events, Symbol.iterator, { value: () => told[Symbol.iterator]() })

for (const name of ["log", "error", "warn", "info", "debug", "trace", "dir", "table"] as const) {
  const print = console[name].bind(console)
  console[name] = (...args: ReadonlyArray<unknown>) => {
    say("console", util.format(...args))
    print(...args)
  }
}
