/** The transport `port`: between threads, over a real `Worker`, and within one, over ports of several shapes. */
import { EventEmitter } from "node:events"
import * as nodeWorkers from "node:worker_threads"
import { assert, describe, it } from "@effect/vitest"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import * as TextChannel from "../../examples/text-channel.ts"
import * as Address from "../../src/Address.ts"
import * as Connection from "../../src/Connection.ts"
import type { ConnectionError } from "../../src/ConnectionError.ts"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { windowCredit } from "../../src/messages/credit.ts"
import * as Noauth from "../../src/noauth/Noauth.ts"
import * as MessagePorts from "../../src/port/MessagePorts.ts"
import { loopback } from "../support/ports.ts"
import { echo, limits, pair, pattern, protocols, readAll, sameBytes, served, turns, until } from "../support/servers.ts"

const speaks = (options: MessagePorts.Options) =>
  Multiserver.layer(["port", "port~noise", "port~shs", "port~noauth"]).pipe(
    Layer.provide([MessagePorts.layer(options), protocols(), Noauth.layer()]),
    Layer.provide(Limits.layer(limits))
  )

/** How a pull or a write ends. */
const ending = (effect: Effect.Effect<unknown, ConnectionError | Cause.Done>) =>
  Effect.map(Effect.flip(effect), (error) => (Cause.isDone(error) ? "the end" : describeReason(error)))
const describeReason = ({ reason }: ConnectionError): string =>
  reason._tag === "Reset" ? `Reset ${reason.code}` : reason._tag

const exchanged = (connection: Connection.Connection, bytes: Uint8Array) =>
  Effect.gen(function* () {
    yield* Effect.forkChild(Effect.andThen(connection.write(bytes), connection.end))
    assert.isTrue(sameBytes(yield* readAll(connection), bytes))
  })

// -----------------------------------------------------------------------------
// between threads
// -----------------------------------------------------------------------------

const services = ["plain", "noise", "shs", "hold", "flood", "back"] as const

/** A worker, and what the application of it says. */
const started = (does: "serve" | "once") =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new nodeWorkers.Worker(new URL("./worker.mjs", import.meta.url), { workerData: does })),
      (worker) => Effect.promise(() => worker.terminate())
    ),
    (worker) => {
      const said: { addresses: ReadonlyArray<string>; written: number; pongs: number; read: number | undefined } = {
        addresses: [],
        written: 0,
        pongs: 0,
        read: undefined
      }
      worker.on("message", (message) => {
        if ("pong" in message) said.pongs++
        if ("addresses" in message) said.addresses = message.addresses
        if ("written" in message) said.written = message.written
        if ("read" in message) said.read = message.read
      })
      /** Turns of both threads. */
      const rounds = Effect.forEach(
        Array.from({ length: 30 }),
        () =>
          Effect.suspend(() => {
            const before = said.pongs
            worker.postMessage("ping")
            return until(() => said.pongs > before)
          }),
        { discard: true }
      )
      const layer = speaks({ ports: Object.fromEntries(services.map((name) => [name, worker])) })
      return { worker, said, rounds, layer }
    }
  )

/** A worker may need a while to start, on a machine that is busy. */
const dial = (address: string) => Multiserver.dial(address, { timeouts: { connect: "5 minutes" } })

describe("between a thread and its worker", () => {
  it.live("bytes come back whole, bare and encrypted, from a worker that has just been started", () =>
    Effect.gen(function* () {
      const { layer, said } = yield* started("serve")
      yield* Effect.gen(function* () {
        // The worker has not loaded its first module yet.
        assert.deepStrictEqual(said.addresses, [])
        yield* exchanged(yield* dial("port:plain"), pattern(4 << 20))
        yield* until(() => said.addresses.length > 0)
        const [plain = "", ...rest] = said.addresses
        assert.strictEqual(plain, "port:plain")
        for (const address of rest.slice(0, 2)) {
          const connection = yield* dial(address)
          assert.strictEqual(connection.peer._tag, "Authenticated")
          assert.strictEqual(String(connection.remote), address)
          yield* exchanged(connection, pattern(4 << 20))
        }
      }).pipe(Effect.provide(layer))
    })
  )

  it.live("many connections run over one port at a time, beside the application's own messages", () =>
    Effect.gen(function* () {
      const { layer, rounds } = yield* started("serve")
      const one = (i: number) =>
        Effect.scoped(
          Effect.flatMap(dial("port:plain"), (connection) => exchanged(connection, pattern(100_000, i + 1)))
        )
      const all = Effect.forEach(
        Array.from({ length: 30 }, (_, i) => i),
        one,
        { concurrency: "unbounded", discard: true }
      )
      yield* Effect.all([all, rounds], { concurrency: "unbounded" }).pipe(Effect.provide(layer))
    })
  )

  it.live("a writer waits for a reader that never reads, in both directions", () =>
    Effect.gen(function* () {
      const { layer, rounds, said } = yield* started("serve")
      yield* Effect.gen(function* () {
        const chunk = pattern(64 * 1024)
        let written = 0
        const { write } = yield* dial("port:hold")
        const writer = yield* Effect.forkChild(
          Effect.forever(
            Effect.map(write(chunk), () => {
              written += chunk.length
            })
          )
        )
        const flooded = yield* dial("port:flood")
        yield* rounds
        // Nobody at the other end of the first reads, and nobody at this end of the second.
        const before = [written, said.written]
        yield* rounds
        assert.deepStrictEqual([written, said.written], before)
        assert.isUndefined(writer.pollUnsafe())
        for (const bytes of before) {
          assert.isAbove(bytes, 0)
          assert.isAtMost(bytes, windowCredit + 2 * chunk.length)
        }
        // It goes on as soon as somebody reads.
        let read = 0
        while (read < 1 << 20) for (const each of yield* flooded.pull) read += each.length
      }).pipe(Effect.provide(layer))
    })
  )

  it.live("a chunk that is given is moved and not copied, if it is all of its buffer; what is written stays", () =>
    Effect.gen(function* () {
      const { layer } = yield* started("serve")
      yield* Effect.gen(function* () {
        const connection = yield* dial("port:plain")
        const [given, long, part] = [pattern(60_000, 1), pattern(200_000, 2), pattern(100, 3).subarray(1)]
        // Its memory can't be moved.
        const fixed = new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer)
        const sent = Buffer.concat([given, long, part, fixed])
        yield* Connection.give(connection, [given, long, part, fixed])
        yield* connection.flush
        assert.deepStrictEqual(
          [given, long, part, fixed].map(({ length }) => length),
          [0, 200_000, 99, 65_536]
        )
        const borrowed = pattern(60_000, 4)
        yield* connection.write(borrowed)
        yield* connection.flush
        assert.strictEqual(borrowed.length, 60_000)
        yield* Effect.forkChild(connection.end)
        assert.isTrue(sameBytes(yield* readAll(connection), Buffer.concat([sent, borrowed])))
      }).pipe(Effect.provide(layer))
    })
  )

  it.live("a worker that is terminated in the middle of a transfer is a typed error for who reads and who writes", () =>
    Effect.gen(function* () {
      const { layer, said, worker } = yield* started("serve")
      yield* Effect.gen(function* () {
        const reads = yield* dial("port:flood")
        const writes = yield* dial("port:hold")
        yield* until(() => said.addresses.length > 0)
        const secret = yield* dial(said.addresses[1] ?? "")
        const waits = yield* Effect.forkChild(Effect.flip(dial("port:back")), { startImmediately: true })
        const reading = yield* Effect.forkChild(ending(Effect.forever(reads.pull)))
        const writing = yield* Effect.forkChild(ending(Effect.forever(writes.write(pattern(10_000)))))
        const sealed = yield* Effect.forkChild(ending(secret.pull))
        yield* until(() => said.written > 10 << 20)
        yield* Effect.promise(() => worker.terminate())
        assert.strictEqual(yield* Fiber.join(reading), "Reset PORT_CLOSED")
        assert.strictEqual(yield* Fiber.join(writing), "Reset PORT_CLOSED")
        assert.strictEqual(yield* Fiber.join(sealed), "Reset PORT_CLOSED")
        const { reason } = yield* Fiber.join(waits)
        assert.isTrue(reason._tag === "Unreachable" && reason.code === "PORT_CLOSED")
      }).pipe(Effect.provide(layer))
    })
  )

  it.live("a worker dials what its parent serves, and then nothing keeps it alive", () =>
    Effect.gen(function* () {
      const { layer, said, worker } = yield* started("once")
      yield* Effect.gen(function* () {
        const exit = Effect.callback<number>((resume) => {
          worker.once("exit", (code) => resume(Effect.succeed(code)))
        })
        const exited = yield* Effect.forkChild(exit, { startImmediately: true })
        yield* served("port:back", echo)
        assert.strictEqual(yield* Fiber.join(exited), 0)
        assert.strictEqual(said.read, 10)
      }).pipe(Effect.provide(layer))
    })
  )
})

// -----------------------------------------------------------------------------
// listening and dialing
// -----------------------------------------------------------------------------

const name = "s"

describe("a dial", () => {
  it.live("to a name that the layer does not have is an error that says so, and so is a listen", () =>
    Effect.gen(function* () {
      const dialed = yield* Effect.flip(Multiserver.dial("port:nobody"))
      assert.strictEqual(dialed.reason._tag, "NotDialable")
      assert.include(dialed.message, 'no port is called "nobody": give it to MessagePorts.layer')
      const listened = yield* Effect.flip(Multiserver.listen("port:nobody"))
      assert.strictEqual(listened.reason._tag, "NotListenable")
      assert.include(listened.message, 'no port is called "nobody": give it to MessagePorts.layer')
    }).pipe(Effect.provide(speaks({ ports: { [name]: loopback() } })))
  )

  it.effect("to a port where nobody listens fails at its deadline, and one that waits gets who comes", () =>
    Effect.gen(function* () {
      const late = yield* Effect.forkChild(Effect.flip(Multiserver.dial("port:s")), { startImmediately: true })
      yield* TestClock.adjust("6 seconds")
      const { reason } = yield* Fiber.join(late)
      assert.isTrue(reason._tag === "TimedOut" && reason.phase === "connect")
      const waits = yield* Effect.forkChild(Multiserver.dial("port:s"), { startImmediately: true })
      yield* turns
      yield* served("port:s", echo)
      yield* exchanged(yield* Fiber.join(waits), pattern(1000))
    }).pipe(Effect.provide(speaks({ ports: { [name]: loopback() } })))
  )

  it.live("to a worker that has ended fails at once, and leaves no listener on it with its layer", () =>
    Effect.gen(function* () {
      const worker = new nodeWorkers.Worker("setInterval(() => {}, 1000)", { eval: true })
      const before = worker.listenerCount("exit")
      yield* Effect.gen(function* () {
        // Nobody dials or listens while it ends.
        yield* Effect.promise(() => worker.terminate())
        for (let times = 0; times < 2; times++) {
          const { reason } = yield* Effect.flip(Multiserver.dial("port:s"))
          assert.isTrue(reason._tag === "Unreachable" && reason.code === "PORT_CLOSED", reason.message)
        }
      }).pipe(Effect.provide(speaks({ ports: { [name]: worker } })))
      assert.strictEqual(worker.listenerCount("exit"), before)
    })
  )

  it.live("to a listener that is full is refused", () =>
    Effect.gen(function* () {
      // Both ends of a connection count.
      yield* served("port:s", () => Effect.never)
      yield* Multiserver.dial("port:s")
      const { reason } = yield* Effect.flip(Multiserver.dial("port:s"))
      assert.strictEqual(reason._tag, "Refused")
      assert.isTrue(reason.isRetryable)
    }).pipe(
      Effect.provide(
        Multiserver.layer(["port"]).pipe(
          Layer.provide(MessagePorts.layer({ ports: { [name]: loopback() } })),
          Layer.provide(Limits.layer({ ...limits, connections: 2 }))
        )
      )
    )
  )

  it.live("over a port that can't post is a typed error", () => {
    const { port1 } = new MessageChannel()
    const broken: MessagePorts.MessagePortLike = Object.assign(new EventTarget(), {
      postMessage: () => {
        throw new Error("no")
      }
    })
    return Effect.gen(function* () {
      const { reason } = yield* Effect.flip(Multiserver.dial("port:s"))
      assert.isTrue(reason._tag === "Unreachable" && reason.code === "PORT_POST")
      assert.strictEqual(String(reason.cause), "Error: no")
      port1.close()
    }).pipe(Effect.provide(speaks({ ports: { [name]: broken } })))
  })
})

describe("a listener", () => {
  it.live("shares its port with any number of others, of one layer, without a warning of Node's", () =>
    Effect.gen(function* () {
      const names = Array.from({ length: 20 }, (_, i) => `s${i}`)
      const port = loopback()
      const warned: Array<Error> = []
      const onWarning = (warning: Error) => warned.push(warning)
      process.on("warning", onWarning)
      yield* Effect.gen(function* () {
        for (const each of names) yield* served(`port:${each}`, ({ write }) => write(new TextEncoder().encode(each)))
        for (const each of names) {
          const said = yield* readAll(yield* Multiserver.dial(`port:${each}`))
          assert.strictEqual(new TextDecoder().decode(said), each)
        }
        yield* turns
      }).pipe(
        Effect.provide(speaks({ ports: Object.fromEntries(names.map((each) => [each, port])) })),
        Effect.ensuring(Effect.sync(() => process.off("warning", onWarning)))
      )
      assert.deepStrictEqual(warned, [])
    })
  )

  it.live("has its name alone, until it stops", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Multiserver.listen("port:s")
          const { reason } = yield* Effect.flip(Multiserver.listen("port:s"))
          assert.strictEqual(reason._tag, "AddressInUse")
        })
      )
      yield* Multiserver.listen("port:s")
    }).pipe(Effect.provide(speaks({ ports: { [name]: loopback() } })))
  )

  it.live("does not take its name when the function where ports arrive throws", () => {
    let throws = true
    const arrivals: MessagePorts.ArrivingPorts = () => {
      if (throws) throw new Error("not yet")
      return () => {}
    }
    return Effect.gen(function* () {
      const died = yield* Effect.exit(Multiserver.listen("port:s"))
      assert.isTrue(Exit.isFailure(died) && Cause.hasDies(died.cause))
      throws = false
      yield* Multiserver.listen("port:s")
    }).pipe(Effect.provide(speaks({ ports: { [name]: arrivals } })))
  })

  it.live("serves all ports that arrive, as those of a SharedWorker's pages, until it stops", () =>
    Effect.gen(function* () {
      let take: ((port: MessagePorts.MessagePortLike) => void) | undefined
      const arrivals: MessagePorts.ArrivingPorts = (each) => {
        take = each
        return () => {
          take = undefined
        }
      }
      const page = Effect.gen(function* () {
        const { port1, port2 } = new MessageChannel()
        take?.(port2)
        yield* Effect.flatMap(Multiserver.dial("port:s"), (connection) => exchanged(connection, pattern(1000))).pipe(
          Effect.scoped,
          Effect.provide(speaks({ ports: { [name]: port1 } }))
        )
        port1.close()
      })
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* served("port:s", echo)
          yield* Effect.all([page, page, page], { concurrency: "unbounded" })
          assert.isDefined(take)
          const { reason } = yield* Effect.flip(Multiserver.dial("port:s"))
          assert.strictEqual(reason._tag, "NotDialable")
        }).pipe(Effect.provide(speaks({ ports: { [name]: arrivals } })))
      )
      assert.isUndefined(take)
    })
  )

  it.live.each([false, true])("says who its peer over noauth is: trusted %s", (trusted) =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("port:s~noauth")
      for (const { peer } of [near, far]) assert.strictEqual(peer._tag, trusted ? "Trusted" : "Anonymous")
    }).pipe(Effect.provide(speaks({ ports: { [name]: loopback() }, trusted })))
  )
})

// -----------------------------------------------------------------------------
// a hostile peer
// -----------------------------------------------------------------------------

const protocol = "effect-multiserver/port/1"

/** Dials by hand. What the listener's end comes to, and the port over which to say anything. */
const byHand = (serve: (connection: Connection.Connection) => Effect.Effect<unknown, ConnectionError | Cause.Done>) =>
  Effect.gen(function* () {
    const { port1, port2 } = new MessageChannel()
    const done = yield* Deferred.make<string>()
    yield* Effect.forkScoped(
      Effect.gen(function* () {
        yield* served("port:s", (connection) =>
          Effect.flatMap(ending(serve(connection)), (word) => Deferred.succeed(done, word))
        )
        yield* Effect.never
      }).pipe(Effect.provide(speaks({ ports: { [name]: port2 } })))
    )
    const listening = Effect.callback<void>((resume) => {
      port1.addEventListener("message", ({ data }) => {
        if (data.type === "listening") resume(Effect.void)
      })
      port1.start()
    })
    yield* listening
    const channel = new MessageChannel()
    port1.postMessage({ protocol, type: "dial", name, port: channel.port2 }, [channel.port2])
    const heard: Array<unknown> = []
    channel.port1.addEventListener("message", ({ data }) => heard.push(data))
    channel.port1.start()
    yield* until(() => heard.includes("hello") && heard.length > 1)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        channel.port1.close()
        port1.close()
      })
    )
    return { port: channel.port1, control: port1, heard, done: Deferred.await(done) }
  })

describe("a peer that speaks by hand", () => {
  const cases: ReadonlyArray<readonly [string, ReadonlyArray<unknown>]> = [
    ["more than its credit", Array.from({ length: 5 }, () => new ArrayBuffer(60_000))],
    ["an absurd credit", ["grant 9000000"]],
    ["what is no message of the protocol", [{ anything: true }]],
    ["data after its end", ["end", new ArrayBuffer(1)]]
  ]
  it.live.each(cases)("and posts %s ends its connection with a ProtocolViolation", ([, messages]) =>
    Effect.gen(function* () {
      const { done, heard, port } = yield* byHand(({ closed, flush }) => Effect.andThen(closed, flush))
      for (const message of messages) port.postMessage(message)
      assert.strictEqual(yield* done, "ProtocolViolation")
      yield* until(() => heard.includes("break"))
    })
  )

  it.live("is heard to break off, to be gone, and to end", () =>
    Effect.gen(function* () {
      const words = { break: "Reset ECONNRESET", end: "the end", vanish: "Reset PORT_CLOSED" }
      for (const [does, comes] of Object.entries(words)) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { done, port } = yield* byHand(({ pull }) => pull)
            if (does === "vanish") port.close()
            else port.postMessage(does)
            assert.strictEqual(yield* done, comes)
          })
        )
      }
    })
  )

  it.live("and dials with a port whose other end is closed, is a broken connection, and the next one is served", () =>
    Effect.gen(function* () {
      const { control, done, port } = yield* byHand(({ pull }) => pull)
      const gone = new MessageChannel()
      gone.port1.close()
      control.postMessage({ protocol, type: "dial", name, port: gone.port2 }, [gone.port2])
      assert.strictEqual(yield* done, "Reset PORT_CLOSED")
      const next = new MessageChannel()
      control.postMessage({ protocol, type: "dial", name, port: next.port2 }, [next.port2])
      const hello = Effect.callback<unknown>((resume) => {
        next.port1.addEventListener("message", ({ data }) => resume(Effect.succeed(data)), { once: true })
        next.port1.start()
      })
      assert.strictEqual(yield* hello, "hello")
      for (const each of [next.port1, port]) each.close()
    })
  )

  it.live("and dials with nothing, or with no port, is ignored", () =>
    Effect.gen(function* () {
      const { control, done, port } = yield* byHand(({ pull }) => pull)
      for (const port of [undefined, null, 1, {}]) control.postMessage({ protocol, type: "dial", name, port })
      for (const message of [undefined, null, "dial", [], { protocol }, { protocol, type: "odd", name }]) {
        control.postMessage(message)
      }
      yield* turns
      port.postMessage("end")
      assert.strictEqual(yield* done, "the end")
    })
  )
})

// -----------------------------------------------------------------------------
// shapes of ports
// -----------------------------------------------------------------------------

/** A port as Electron's main process has it: no buffers are moved, and ports come only beside a message. */
class PortMain extends EventEmitter {
  private readonly inner: MessagePort
  constructor(inner: MessagePort) {
    super()
    this.inner = inner
    inner.addEventListener("message", ({ data }) => {
      const ports = data.ports.map((port: MessagePort) => new PortMain(port))
      this.emit("message", { data: data.message, ports })
    })
    inner.addEventListener("close", () => this.emit("close"))
  }
  postMessage(message: unknown, transfer: ReadonlyArray<object> = []): void {
    const ports = transfer.map((port) => {
      if (port instanceof PortMain) return port.inner
      throw new TypeError("not a port")
    })
    if (typeof message === "object" && message !== null && "port" in message) throw new TypeError("can't be cloned")
    this.inner.postMessage({ message, ports }, ports)
  }
  start(): void {
    this.inner.start()
  }
  close(): void {
    this.inner.close()
  }
}

const channelMain = () => {
  const { port1, port2 } = new MessageChannel()
  return { port1: new PortMain(port1), port2: new PortMain(port2) }
}

describe("Connection.give", () => {
  it.live("is a write over a stack that can't move chunks, and over a connection of the program's own code", () =>
    Effect.gen(function* () {
      yield* Effect.forEach(["port:s~noise", "port:s"], (target) =>
        Effect.gen(function* () {
          const [near, far] = yield* pair(target)
          const own: Connection.Connection = target === "port:s" ? { ...near } : near
          const chunk = pattern(1000)
          yield* own.write(Uint8Array.of(1))
          yield* Connection.give(own, [chunk, Uint8Array.of(2)])
          yield* own.write(Uint8Array.of(3))
          yield* Effect.forkChild(own.end)
          const read = yield* readAll(far)
          assert.deepStrictEqual([...read.subarray(0, 1), ...read.subarray(1001)], [1, 2, 3])
          assert.isTrue(sameBytes(read.subarray(1, 1001), pattern(1000)))
          assert.strictEqual(chunk.length, 1000)
          assert.strictEqual((yield* Effect.flip(Connection.give(near, [chunk]))).reason._tag, "LocallyClosed")
        }).pipe(Effect.scoped)
      )
    }).pipe(Effect.provide(speaks({ ports: { [name]: loopback() } })))
  )

  it.live("counts what it gives, and fails the connection when it is interrupted in the middle", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("port:s")
      const given = yield* Effect.forkChild(
        Connection.give(
          near,
          Arr.makeBy(100, () => new Uint8Array(10_000))
        ),
        { startImmediately: true }
      )
      yield* turns
      assert.isUndefined(given.pollUnsafe())
      yield* Fiber.interrupt(given)
      const { bytesWritten, tag } = yield* near.closed
      assert.strictEqual(tag, "LocallyClosed")
      assert.isAbove(bytesWritten, 200_000)
      assert.strictEqual(yield* ending(Effect.forever(far.pull)), "Reset ECONNRESET")
    }).pipe(Effect.provide(speaks({ ports: { [name]: loopback() } })))
  )
})

describe("a write", () => {
  it.live("whose memory is moved away before it is done ends with its connection, and does not hang", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("port:s")
      const memory = new Uint8Array(1_000_000)
      const written = yield* Effect.forkChild(near.write(memory), { startImmediately: true })
      yield* turns
      assert.isUndefined(written.pollUnsafe())
      // As by another connection that the same chunk was given to.
      structuredClone(memory, { transfer: [memory.buffer] })
      assert.lengthOf(memory, 0)
      const reading = yield* Effect.forkChild(ending(Effect.forever(far.pull)))
      const exit = yield* Fiber.await(written)
      assert.match(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), /memory of a chunk/)
      assert.strictEqual((yield* near.closed).tag, "Defect")
      assert.strictEqual(yield* Fiber.join(reading), "Reset ECONNRESET")
    }).pipe(Effect.provide(speaks({ ports: { [name]: loopback() } })))
  )
})

describe("a port", () => {
  it.live("of the shape of Electron's MessagePortMain carries connections", () =>
    Effect.gen(function* () {
      const { port1, port2 } = channelMain()
      const over = (port: MessagePorts.MessagePortLike) =>
        speaks({ ports: { [name]: port }, copies: true, channel: channelMain })
      yield* Effect.forkScoped(Effect.provide(Effect.andThen(served("port:s", echo), Effect.never), over(port1)))
      yield* Effect.gen(function* () {
        const connection = yield* Multiserver.dial("port:s")
        const given = pattern(10_000)
        yield* Connection.give(connection, [given])
        yield* connection.flush
        assert.strictEqual(given.length, 10_000)
        yield* exchanged(yield* Multiserver.dial("port:s"), pattern(1 << 20))
      }).pipe(Effect.provide(over(port2)))
      port1.close()
    })
  )

  it.live("may be made of a channel that carries only text, as examples/text-channel.ts does", () =>
    Effect.gen(function* () {
      const { port1, port2 } = new MessageChannel()
      const textOver = (port: MessagePort): TextChannel.TextChannel => ({
        send: (text) => port.postMessage(text),
        hear: (onText) => {
          port.addEventListener("message", ({ data }) => onText(data))
          port.start()
        }
      })
      const arrived = yield* Deferred.make<Connection.Connection>()
      yield* Effect.forkScoped(
        Effect.gen(function* () {
          yield* served("port:s", (connection) =>
            Effect.andThen(Deferred.succeed(arrived, connection), echo(connection))
          )
          yield* Effect.never
        }).pipe(Effect.provide(speaks(TextChannel.over(textOver(port1), "left", name))))
      )
      yield* Effect.gen(function* () {
        yield* exchanged(yield* Multiserver.dial("port:s"), pattern(1 << 20))
        const broken = yield* Multiserver.dial("port:s")
        yield* Connection.destroy(broken)
      }).pipe(Effect.scoped, Effect.provide(speaks(TextChannel.over(textOver(port2), "right", name))))
      assert.strictEqual((yield* (yield* Deferred.await(arrived)).closed).tag, "end")
      port1.close()
    })
  )

  it("may be any that the platforms have", () => {
    const shapes = (page: Worker, ends: MessageChannel, worker: nodeWorkers.Worker, end: nodeWorkers.MessagePort) => {
      const all: ReadonlyArray<MessagePorts.MessagePortLike> = [page, ends.port1, worker, end]
      const channels: ReadonlyArray<() => MessagePorts.Channel> = [
        () => new MessageChannel(),
        () => new nodeWorkers.MessageChannel(),
        channelMain
      ]
      return [all, channels]
    }
    assert.isFunction(shapes)
  })

  it("has an address of its own, that round-trips", () => {
    const [address] = Result.getOrThrow(Address.parse("port:some.service~noise"))
    assert.strictEqual(address.transport._tag, "port")
    assert.strictEqual(String(address), "port:some.service~noise")
    assert.isTrue(Result.isFailure(Address.parse("port:")))
    assert.isTrue(Result.isFailure(Address.parse("port:a b")))
  })
})
