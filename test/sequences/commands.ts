/**
 * What can happen next. Each command changes the model as is promised, does the same to the world, and compares the
 * two.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import fc from "fast-check"
import * as Model from "./model.ts"
import { type Expected, hello, type World } from "./world.ts"

export type Command = fc.AsyncCommand<Model.Model, World>

const one = (event: string | RegExp): Expected => ({ event })
const maybe = (event: string | RegExp): Expected => ({ event, optional: true })

const stackOf = (transport: Model.Transport): string => `${transport}~shs`
const failed = (transport: Model.Transport, tag: string): Expected =>
  one(`handshake-failed ${stackOf(transport)} ${tag}`)
/** Of who goes before it has a WebSocket, HTTP's own rules decide what is told. */
const httpSays = (transport: Model.Transport): Expected =>
  maybe(new RegExp(`^(refused|handshake-failed) ${stackOf(transport)} `))

/** Takes out of the model whoever had to make room, and says what was told of it. */
const displaced = async (model: Model.Model, world: World, count: number): Promise<ReadonlyArray<Expected>> => {
  const candidates = [...model.visitors.keys()]
  await world.until(() => world.gone(candidates).length >= count)
  return world
    .gone(candidates)
    .slice(0, count)
    .flatMap((victim) => {
      const visitor = model.visitors.get(victim)
      model.visitors.delete(victim)
      return visitor === undefined ? [] : [failed(visitor.transport, "Displaced")]
    })
}

/** What becomes of one who comes from outside, and what is told. */
const enter = async (model: Model.Model, world: World, visitor: Model.Visitor): Promise<ReadonlyArray<Expected>> => {
  const welcome = model.welcome(visitor.source)
  if (welcome._tag === "refused") return [one(`refused ${stackOf(visitor.transport)} ${welcome.tag}`)]
  const events = welcome.displaces > 0 ? await displaced(model, world, welcome.displaces) : []
  model.visitors.set(visitor.id, visitor)
  return events
}

// -----------------------------------------------------------------------------
// listeners
// -----------------------------------------------------------------------------

const listen = (transport: Model.Transport): Command => ({
  check: ({ listening }) => !listening.has(transport),
  run: async (model, world) => {
    model.listening.add(transport)
    await world.listen(transport)
    await world.agrees(model, [])
  },
  toString: () => `listen ${transport}`
})

/** Takes out of the model what goes with a listener, and says what is told of it. */
const drained = (model: Model.Model, transport: Model.Transport): ReadonlyArray<Expected> => {
  const events: Array<Expected> = []
  for (const [id, visitor] of model.visitors) {
    if (visitor.transport !== transport) continue
    model.visitors.delete(id)
    if (visitor.stage !== "page") events.push(failed(transport, "Draining"))
  }
  for (const [id, other] of model.sessions) {
    if (other !== transport) continue
    model.sessions.delete(id)
    events.push(one(`closed listen ${stackOf(transport)} end`), one(`closed dial ${stackOf(transport)} end`))
  }
  model.listening.delete(transport)
  return events
}

const drain = (transport: Model.Transport): Command => ({
  check: ({ listening }) => listening.has(transport),
  run: async (model, world) => {
    const events = drained(model, transport)
    world.drain(transport)
    await world.agrees(model, events)
  },
  toString: () => `drain ${transport}`
})

/** Whether so many who dial get in, without anybody who has to make room. */
const haveRoom = (model: Readonly<Model.Model>, transport: Model.Transport, dials: number): boolean =>
  model.listening.has(transport) && model.room(Model.overTcp(transport) ? Model.own : undefined) >= dials

/** However far the dial has got by then, nothing is left of it. */
const drainWhileDialed = (transport: Model.Transport, turns: number): Command => ({
  check: (model) => haveRoom(model, transport, 1),
  run: async (model, world) => {
    const target = world.addressOf(transport) ?? world.nobodyAt(transport)
    const events = drained(model, transport)
    const stack = stackOf(transport)
    await world.dialAway(target, turns)
    world.drain(transport)
    await world.agrees(model, [
      ...events,
      ...[`connected dial ${stack}`, `connected listen ${stack}`, new RegExp(`^closed dial ${stack} `)].map(maybe),
      maybe(new RegExp(`^(closed listen|handshake-failed|refused) ${stack} `)),
      maybe(/^dial-failed /)
    ])
  },
  toString: () => `drain ${transport} ${turns} turns after a dial`
})

// -----------------------------------------------------------------------------
// outsiders
// -----------------------------------------------------------------------------

export const connect = (transport: Model.Transport, source: string): Command => ({
  check: ({ listening }) => listening.has(transport),
  run: async (model, world) => {
    const id = model.nextId()
    const from = Model.overTcp(transport) ? source : undefined
    await world.connect(id, transport, from)
    await world.agrees(model, await enter(model, world, { id, transport, source: from, stage: "silent" }))
  },
  toString: () => `connect ${transport}${Model.overTcp(transport) ? ` from ${source}` : ""}`
})

/** On one of those who are there and for whom it holds: the `nth`, over and over. */
const onVisitor = (
  name: string,
  nth: number,
  holds: (visitor: Model.Visitor, model: Readonly<Model.Model>) => boolean,
  run: (model: Model.Model, world: World, visitor: Model.Visitor) => Promise<void>
): Command => {
  const those = (model: Readonly<Model.Model>) =>
    [...model.visitors.values()].filter((visitor) => holds(visitor, model))
  return {
    check: (model) => those(model).length > 0,
    run: (model, world) => {
      const visitor = Model.pick(those(model), nth)
      return visitor === undefined ? Promise.resolve() : run(model, world, visitor)
    },
    toString: () => `${name} #${nth}`
  }
}

/** Whether its next bytes are those of a handshake. */
const isReady = ({ stage, transport }: Model.Visitor): boolean =>
  stage === (Model.overHttp(transport) ? "upgraded" : "silent")
const isBeforeHttp = ({ stage, transport }: Model.Visitor): boolean => Model.overHttp(transport) && stage === "silent"

/** What is told of one who goes by itself. */
const leavesBy = ({ stage, transport }: Model.Visitor): ReadonlyArray<Expected> => {
  const hasBegun = !Model.overHttp(transport) || (stage !== "silent" && stage !== "asking" && stage !== "page")
  return hasBegun ? [failed(transport, "Rejected")] : [httpSays(transport)]
}

const sayHello = (nth: number): Command =>
  onVisitor("say hello", nth, isReady, async (model, world, visitor) => {
    const outsider = world.outsiders.get(visitor.id)
    const before = outsider?.received ?? 0
    outsider?.send(hello)
    model.visitors.set(visitor.id, { ...visitor, stage: "answered" })
    await world.until(() => (outsider?.received ?? 0) - before >= 64)
    await world.agrees(model, [])
  })

const sayHalf = (nth: number): Command =>
  onVisitor("say half of a hello", nth, isReady, async (model, world, visitor) => {
    world.outsiders.get(visitor.id)?.send(hello.subarray(0, 30))
    model.visitors.set(visitor.id, { ...visitor, stage: "partial" })
    await world.agrees(model, [])
  })

const sayNonsense = (nth: number): Command =>
  onVisitor("say nonsense", nth, isReady, async (model, world, visitor) => {
    world.outsiders.get(visitor.id)?.send(new Uint8Array(64).fill(99))
    model.visitors.delete(visitor.id)
    await world.agrees(model, [failed(visitor.transport, "WrongNetwork")])
  })

const reset = (nth: number): Command =>
  onVisitor(
    "reset",
    nth,
    () => true,
    async (model, world, visitor) => {
      world.outsiders.get(visitor.id)?.reset()
      model.visitors.delete(visitor.id)
      await world.agrees(model, leavesBy(visitor))
    }
  )

const end = (nth: number): Command =>
  onVisitor(
    "end",
    nth,
    () => true,
    async (model, world, visitor) => {
      world.outsiders.get(visitor.id)?.end()
      model.visitors.delete(visitor.id)
      await world.agrees(model, leavesBy(visitor))
    }
  )

/** Resets, and comes again from the same port, before anybody had the time to look. */
const comeAgain = (nth: number): Command =>
  onVisitor(
    "reset and come again from the same port",
    nth,
    // There is a place for it beside the one that it has: who is seen first, the one that goes or the one that comes,
    // is the kernel's matter.
    ({ source, transport }, model) => {
      const welcome = model.welcome(source)
      return Model.overTcp(transport) && welcome._tag === "in" && welcome.displaces === 0
    },
    async (model, world, visitor) => {
      const socket = world.socketOf(visitor.id)
      const { localPort } = socket
      const { source, transport } = visitor
      socket.reset()
      model.visitors.delete(visitor.id)
      const id = model.nextId()
      await world.connect(id, transport, source, localPort)
      const events = await enter(model, world, { id, transport, source, stage: "silent" })
      await world.agrees(model, [...leavesBy(visitor), ...events])
    }
  )

// -----------------------------------------------------------------------------
// upgrades
// -----------------------------------------------------------------------------

const request = (path: string, ...more: ReadonlyArray<string>): ReadonlyArray<string> => [
  `GET ${path} HTTP/1.1`,
  "Host: 127.0.0.1",
  ...more
]
const upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="

const askFor = (
  name: string,
  nth: number,
  lines: ReadonlyArray<string>,
  answered: (model: Model.Model, visitor: Model.Visitor, status: number | undefined) => ReadonlyArray<Expected>
): Command =>
  onVisitor(name, nth, isBeforeHttp, async (model, world, visitor) => {
    const status = await world.ask(visitor.id, visitor.transport, lines)
    await world.agrees(model, answered(model, visitor, status))
  })

/** Answered so, unless policy has its say first. */
const turnedAway = (status: number) => (model: Model.Model, visitor: Model.Visitor, got: number | undefined) => {
  if (got !== status && !(visitor.source === Model.denied && got === 503)) throw new Error(`the answer was ${got}`)
  model.visitors.delete(visitor.id)
  return [httpSays(visitor.transport)]
}

const askForWebSocket = (nth: number): Command =>
  askFor("ask for a WebSocket", nth, request("/", ...upgrade, key), (model, visitor, status) => {
    if (visitor.source === Model.denied) {
      model.visitors.delete(visitor.id)
      return [one(`refused ${stackOf(visitor.transport)} DeniedByPolicy`)]
    }
    if (status !== 101) throw new Error(`the answer was ${status}`)
    model.visitors.set(visitor.id, { ...visitor, stage: "upgraded" })
    return []
  })

const askElsewhere = (nth: number): Command =>
  askFor("ask for a WebSocket elsewhere", nth, request("/elsewhere", ...upgrade, key), turnedAway(404))

const askBadly = (nth: number): Command =>
  askFor("ask for a WebSocket without a key", nth, request("/", ...upgrade), turnedAway(400))

const askForPage = (nth: number): Command =>
  onVisitor("ask for a page", nth, isBeforeHttp, async (model, world, visitor) => {
    await world.askForPage(visitor.id, visitor.transport, request("/"))
    model.visitors.set(visitor.id, { ...visitor, stage: "page" })
    await world.agrees(model, [])
  })

const askHalf = (nth: number): Command =>
  onVisitor("begin to ask", nth, isBeforeHttp, async (model, world, visitor) => {
    await world.askHalf(visitor.id, visitor.transport, "GET / HTTP/1.1")
    model.visitors.set(visitor.id, { ...visitor, stage: "asking" })
    await world.agrees(model, [])
  })

// -----------------------------------------------------------------------------
// sessions
// -----------------------------------------------------------------------------

const dial = (transport: Model.Transport): Command => ({
  check: () => true,
  run: async (model, world) => {
    const id = model.nextId()
    const target = world.addressOf(transport)
    if (target === undefined || !model.listening.has(transport)) {
      await world.dial(id, world.nobodyAt(transport))
      return world.agrees(model, [one(/^dial-failed /)])
    }
    const source = Model.overTcp(transport) ? Model.own : undefined
    const welcome = model.welcome(source, 1)
    const connected = await world.dial(id, target)
    if (welcome._tag === "refused") {
      return world.agrees(model, [one(`refused ${stackOf(transport)} ${welcome.tag}`), one(/^dial-failed /)])
    }
    const events = welcome.displaces > 0 ? await displaced(model, world, welcome.displaces) : []
    if (!connected) throw new Error("the dial has failed")
    model.sessions.set(id, transport)
    await world.agrees(model, [
      ...events,
      one(`connected dial ${stackOf(transport)}`),
      one(`connected listen ${stackOf(transport)}`)
    ])
  },
  toString: () => `dial ${transport}`
})

const dialAtOnce = (transport: Model.Transport, dials: number): Command => ({
  check: (model) => haveRoom(model, transport, dials),
  run: async (model, world) => {
    const target = world.addressOf(transport) ?? world.nobodyAt(transport)
    const ids = Array.from({ length: dials }, () => model.nextId())
    const connected = await Promise.all(ids.map((id) => world.dial(id, target)))
    if (connected.includes(false)) throw new Error("a dial has failed")
    for (const id of ids) model.sessions.set(id, transport)
    const stack = stackOf(transport)
    await world.agrees(
      model,
      ids.flatMap(() => [one(`connected dial ${stack}`), one(`connected listen ${stack}`)])
    )
  },
  toString: () => `dial ${transport} ${dials} times at once`
})

/** Where there is room: what an interrupted dial displaces depends on how far its newcomer has come. */
const dialBriefly = (transport: Model.Transport, turns: number): Command => ({
  check: (model) => model.listening.has(transport) && haveRoom(model, transport, 1),
  run: async (model, world) => {
    const target = world.addressOf(transport)
    if (target !== undefined) await world.dialBriefly(target, turns)
    const stack = stackOf(transport)
    const events = [`connected dial ${stack}`, `connected listen ${stack}`, new RegExp(`^closed dial ${stack} `)]
    // Half a hello of TLS is a bad request.
    const atServer = new RegExp(`^(closed listen|handshake-failed|refused) ${stack} `)
    await world.calm()
    await world.agrees(model, [...events, atServer].map(maybe))
  },
  toString: () => `dial ${transport} for ${turns} turns`
})

const onSession = (
  name: string,
  nth: number,
  run: (model: Model.Model, world: World, id: number, transport: Model.Transport) => Promise<void>
): Command => ({
  check: ({ sessions }) => sessions.size > 0,
  run: (model, world) => {
    const picked = Model.pick(model.sessions, nth)
    return picked === undefined ? Promise.resolve() : run(model, world, ...picked)
  },
  toString: () => `${name} #${nth}`
})

const exchange = (nth: number, length: number): Command =>
  onSession(`exchange ${length} bytes`, nth, async (model, world, id) => {
    await world.exchange(id, length)
    await world.agrees(model, [])
  })

/** Both ends of a session are gone, one with a tag of these and the other as well. */
const ends = (
  name: string,
  nth: number,
  how: (world: World, id: number) => void,
  dialTag: string,
  listenTag: string
): Command =>
  onSession(name, nth, async (model, world, id, transport) => {
    model.sessions.delete(id)
    how(world, id)
    await world.agrees(model, [
      one(new RegExp(`^closed dial ${stackOf(transport)} (${dialTag})$`)),
      one(new RegExp(`^closed listen ${stackOf(transport)} (${listenTag})$`))
    ])
  })

const hangUp = (nth: number): Command =>
  ends("hang up", nth, (world, id) => world.hangUp(id, Exit.void), "end|closed", "end")
const breakOff = (nth: number): Command =>
  ends("break off", nth, (world, id) => world.hangUp(id, Exit.fail("broken")), "LocallyClosed", "Reset|Truncated")
const leave = (nth: number): Command =>
  ends("leave", nth, (world, id) => world.leave(id, Effect.void), "end", "end|closed")
const fail = (nth: number): Command =>
  ends("fail", nth, (world, id) => world.leave(id, Effect.fail("no")), "Reset|Truncated", "LocallyClosed")

// -----------------------------------------------------------------------------
// dials that wait, and time
// -----------------------------------------------------------------------------

const dialMute = (transport: Model.Transport): Command => ({
  // It takes a place whatever there is, and a newcomer then finds fewer.
  check: ({ waitingDials }) => waitingDials.size < 3,
  run: async (model, world) => {
    const id = model.nextId()
    model.waitingDials.set(id, transport)
    await world.dialMute(id, transport)
    await world.agrees(model, [])
  },
  toString: () => `dial ${transport} where nobody answers`
})

const interrupt = (nth: number): Command => ({
  check: ({ waitingDials }) => waitingDials.size > 0,
  run: async (model, world) => {
    const [id] = Model.pick(model.waitingDials, nth) ?? []
    if (id === undefined) return
    model.waitingDials.delete(id)
    await world.interruptDial(id)
    await world.agrees(model, [])
  },
  toString: () => `interrupt #${nth}`
})

/** So long that every handshake is late. */
const pass: Command = {
  check: ({ pending, waitingDials }) => pending.length + waitingDials.size > 0,
  run: async (model, world) => {
    const late = model.pending.map(({ id, transport }) => {
      model.visitors.delete(id)
      return failed(transport, "TimedOut")
    })
    const dials = [...model.waitingDials.keys()].map((id) => {
      model.waitingDials.delete(id)
      return one("dial-failed TimedOut")
    })
    await world.pass()
    await world.agrees(model, [...late, ...dials])
  },
  toString: () => "let time pass"
}

// -----------------------------------------------------------------------------
// all
// -----------------------------------------------------------------------------

const transport = fc.constantFrom(...Model.transports)
const nth = fc.nat(7)
const each = (make: (nth: number) => Command): fc.Arbitrary<Command> => nth.map(make)
const often = (times: number, command: fc.Arbitrary<Command>) => Array.from({ length: times }, () => command)

/**
 * How often each is tried. More come than go, so that limits are reached; one that nobody is there for is passed over.
 */
export const arbitraries: ReadonlyArray<fc.Arbitrary<Command>> = [
  ...often(3, transport.map(listen)),
  transport.map(drain),
  ...often(
    10,
    fc.tuple(transport, fc.constantFrom(...Model.sources)).map(([to, source]) => connect(to, source))
  ),
  ...often(2, each(sayHello)),
  each(sayHalf),
  each(sayNonsense),
  each(reset),
  each(end),
  ...often(2, each(comeAgain)),
  ...often(4, each(askForWebSocket)),
  each(askElsewhere),
  each(askBadly),
  ...often(2, each(askForPage)),
  each(askHalf),
  ...often(6, transport.map(dial)),
  ...often(
    2,
    fc.tuple(transport, fc.integer({ min: 2, max: 4 })).map(([to, dials]) => dialAtOnce(to, dials))
  ),
  fc.tuple(transport, fc.nat(20)).map(([to, turns]) => drainWhileDialed(to, turns)),
  ...often(
    2,
    fc.tuple(transport, fc.nat(12)).map(([to, turns]) => dialBriefly(to, turns))
  ),
  ...often(
    3,
    fc.tuple(nth, fc.integer({ min: 1, max: 200_000 })).map(([which, length]) => exchange(which, length))
  ),
  each(hangUp),
  each(breakOff),
  each(leave),
  each(fail),
  fc.constantFrom<Model.Transport>("net", "unix").map(dialMute),
  each(interrupt),
  fc.constant(pass)
]
