/** The transform: who gets in, by which key, and what both sides are told. */
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Address from "../../src/Address.ts"
import * as AppKey from "../../src/AppKey.ts"
import type { DialError } from "../../src/DialError.ts"
import * as Deflate from "../../src/deflate/Deflate.ts"
import * as Events from "../../src/Events.ts"
import * as Identity from "../../src/Identity.ts"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Memory from "../../src/memory/Memory.ts"
import * as Net from "../../src/net/Net.ts"
import * as Noise from "../../src/noise/Noise.ts"
import { profile } from "../../src/noise/XKpsk0.ts"
import * as Shs from "../../src/shs/Shs.ts"
import { codec } from "../../src/xk/NoiseFrames.ts"
import * as Profile from "../../src/xk/NoiseProfile.ts"
import { libraries } from "../support/primitives.ts"
import { echo, expectEvent, pattern, readAll, sameBytes, served, turns, until } from "../support/servers.ts"
import { base64 } from "../support/vectors.ts"

describe.each(libraries)("on $library:", ({ layer: library, primitives }) => {
  const identityOf = (n: number) => Identity.fromSeed(primitives, Redacted.make(pattern(32, n)))

  /** Somebody, with the events of both roles in order. */
  const somebody = <E = never, R = never>(
    who: number,
    options: Noise.Options<E, R> = {},
    appKey: AppKey.AppKey = AppKey.mainNetwork
  ) =>
    Effect.gen(function* () {
      const events = yield* Queue.unbounded<Events.Event>()
      const context = yield* Layer.build(
        Multiserver.layer(["net~noise", "memory~noise", "net~shs", "net~noise~deflate", "net~shs~deflate"]).pipe(
          Layer.provide([Net.layer(), Memory.layer(), Noise.layer(options), Shs.layer(), Deflate.layer()]),
          Layer.provide([
            Layer.succeed(Identity.Identity, identityOf(who)),
            Events.layer((event) => Effect.asVoid(Queue.offer(events, event))),
            library,
            AppKey.layer(appKey)
          ])
        )
      )
      return { context, next: <const Tag extends Events.Event["_tag"]>(tag: Tag) => expectEvent(events, tag) }
    })

  const first = ([address]: ReadonlyArray<Address.Address>): Address.Address => address ?? assert.fail("no address")

  /** Why a dial failed: the reason's tag, a handshake's own, and what a rejection came after. */
  const refusal = <A, R>(dial: Effect.Effect<A, Address.AddressError | DialError, R>): Effect.Effect<string, A, R> =>
    Effect.map(Effect.flip(dial), ({ reason }) => {
      if (reason._tag !== "HandshakeError") return reason._tag
      const why = reason.reason
      return why._tag === "Rejected" ? `Rejected(${why.after})` : why._tag
    })

  /** A server of TCP on a port that the system picks. */
  const listening = (onSocket: (socket: net.Socket) => void) =>
    Effect.acquireRelease(
      Effect.callback<net.Server>((resume) => {
        const server = net.createServer((socket) => onSocket(socket.on("error", () => {})))
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    ).pipe(Effect.map((server) => (server.address() as net.AddressInfo).port))

  describe("noise", () => {
    it.live("proves both keys, and shows each side the other's", () =>
      Effect.gen(function* () {
        const [near, far] = [yield* somebody(1), yield* somebody(2)]
        const peers: Array<unknown> = []
        const address = first(
          yield* served("net:127.0.0.1:0~noise", (connection) =>
            Effect.sync(() => void peers.push(connection.peer, connection.remote.transforms[0]))
          ).pipe(Effect.provide(far.context))
        )
        const key = Identity.formatPublicKey(identityOf(2).publicKey)
        assert.match(String(address), /^net:127\.0\.0\.1:\d+~noise:/)
        assert.isTrue(String(address).endsWith(key))
        const connection = yield* Multiserver.dial(address).pipe(Effect.provide(near.context))
        assert.deepInclude(connection.peer, { _tag: "Authenticated", publicKey: identityOf(2).publicKey })
        assert.strictEqual(String(connection.remote), String(address))
        yield* readAll(connection)
        assert.deepInclude(peers[0], { _tag: "Authenticated", publicKey: identityOf(1).publicKey })
        assert.deepInclude(peers[1], { _tag: "noise", publicKey: identityOf(1).publicKey })
      })
    )

    it.live("takes an accept followed at once by the end for a successful dial and a clean end", () =>
      Effect.gen(function* () {
        const [near, far] = [yield* somebody(1), yield* somebody(2)]
        const target = yield* served("net:127.0.0.1:0~noise", (connection) => connection.end).pipe(
          Effect.provide(far.context)
        )
        for (let i = 0; i < 20; i++) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const connection = yield* Multiserver.dial(first(target)).pipe(Effect.provide(near.context))
              assert.isTrue(Cause.isDone(yield* Effect.flip(connection.pull)))
            })
          )
          const { _tag, tag } = yield* near.next("Connected").pipe(Effect.andThen(near.next("Closed")))
          assert.deepStrictEqual([_tag, tag], ["Closed", "end"])
        }
      })
    )

    it.live("takes what arrives in one piece with the accept, the end included", () =>
      Effect.gen(function* () {
        const near = yield* somebody(1)
        const own = identityOf(2)
        const local = Profile.local(profile, primitives, Redacted.value(AppKey.mainNetwork), own)
        const port = yield* listening((socket) => {
          let inbox = Buffer.alloc(0)
          let auth: Profile.AwaitAuth | undefined
          socket.on("data", (data) => {
            inbox = Buffer.concat([inbox, data])
            if (auth === undefined && inbox.length >= 48) {
              const hello = new Uint8Array(inbox.subarray(0, 48))
              const { message, next } = Result.getOrThrow(Profile.responderChallenge(local, hello))
              auth = next
              socket.write(message)
            } else if (auth !== undefined && inbox.length === 48 + 128) {
              const decision = Result.getOrThrow(Profile.responderVerify(auth, new Uint8Array(inbox.subarray(48))))
              const { message, session } = Profile.responderAccept(decision)
              const { sealer } = codec(primitives, session)
              const stream = new Uint8Array(sealer.head + 5 + sealer.tail + sealer.endLength).fill(7)
              sealer.seal(stream, 0, 5)
              sealer.sealEnd(stream, stream.length - sealer.endLength)
              socket.write(Buffer.concat([message, stream]))
            }
          })
        })
        const address = `net:127.0.0.1:${port}~noise:${Identity.formatPublicKey(own.publicKey)}`
        const connection = yield* Multiserver.dial(address).pipe(Effect.provide(near.context))
        assert.deepStrictEqual([...(yield* readAll(connection))], [7, 7, 7, 7, 7])
      })
    )

    it.live("refuses the dial of a key that is another in any of its 256 bits", () =>
      Effect.gen(function* () {
        const [near, far] = [yield* somebody(1), yield* somebody(2)]
        let handled = 0
        const address = first(
          yield* served("net:127.0.0.1:0~noise", () => Effect.sync(() => void handled++)).pipe(
            Effect.provide(far.context)
          )
        )
        const [place] = String(address).split("~noise:")
        const seen = new Map<string, number>()
        for (let bit = 0; bit < 256; bit++) {
          const key = identityOf(2).publicKey.slice()
          key[bit >> 3] = (key[bit >> 3] as number) ^ (1 << (bit & 7))
          const dial = Effect.scoped(Multiserver.dial(`${place}~noise:${base64(key)}`))
          const why = yield* refusal(dial).pipe(Effect.provide(near.context))
          // No point at all, or another than the server's. The last bit is the sign: the X25519 form is that of the
          // server's key.
          assert.include(["PeerMisbehaved", "Rejected(hello)"], why, `bit ${bit}`)
          if (bit === 255) assert.strictEqual(why, "Rejected(hello)")
          seen.set(why, (seen.get(why) ?? 0) + 1)
        }
        assert.strictEqual(handled, 0)
        assert.isAbove(seen.get("PeerMisbehaved") ?? 0, 100)
        yield* Effect.scoped(Multiserver.dial(address)).pipe(Effect.provide(near.context))
      })
    )

    it.live(
      "asks authorize once, with the proved key, from where it comes and without a token when there is none",
      () =>
        Effect.gen(function* () {
          const asked: Array<Noise.Applicant> = []
          const far = yield* somebody(2, { authorize: (applicant) => Effect.sync(() => asked.push(applicant) > 0) })
          const near = yield* somebody(1)
          const address = first(yield* served("net:127.0.0.1:0~noise", readAll).pipe(Effect.provide(far.context)))
          yield* Effect.scoped(Multiserver.dial(address)).pipe(Effect.provide(near.context))
          assert.strictEqual(asked.length, 1)
          const [{ publicKey, remote, token }] = asked as [Noise.Applicant]
          assert.isTrue(sameBytes(publicKey, identityOf(1).publicKey))
          assert.strictEqual(remote.transport._tag, "net")
          assert.isTrue(Option.isNone(token))
        })
    )

    it.live("gives authorize the token of the address, hidden, and speaks as the process's own key", () =>
      Effect.gen(function* () {
        const asked: Array<Noise.Applicant> = []
        const far = yield* somebody(2, { authorize: (applicant) => Effect.sync(() => asked.push(applicant) > 0) })
        const near = yield* somebody(1)
        const address = first(yield* served("net:127.0.0.1:0~noise", readAll).pipe(Effect.provide(far.context)))
        const token = pattern(32, 77)
        const connection = yield* Multiserver.dial(`${address}:${base64(token)}`).pipe(Effect.provide(near.context))
        assert.strictEqual(String(connection.remote), String(address))
        const [applicant] = asked as [Noise.Applicant]
        assert.isTrue(sameBytes(applicant.publicKey, identityOf(1).publicKey))
        const given = Option.getOrThrow(applicant.token)
        assert.isTrue(sameBytes(Redacted.value(given), token))
        assert.notInclude(`${given}${JSON.stringify(applicant)}`, base64(token))
      })
    )

    const refusing: ReadonlyArray<readonly [string, Effect.Effect<boolean>]> = [
      ["says no", Effect.succeed(false)],
      ["dies", Effect.die("out of order")],
      ["never answers", Effect.never]
    ]
    it.live.each(refusing)("leaves nothing of the token when authorize %s", ([, answer]) =>
      Effect.gen(function* () {
        const tokens: Array<Uint8Array> = []
        const far = yield* somebody(2, {
          authorize: ({ token }) => {
            tokens.push(Redacted.value(Option.getOrThrow(token)))
            return answer
          }
        })
        const near = yield* somebody(1)
        const address = first(yield* served("net:127.0.0.1:0~noise", readAll).pipe(Effect.provide(far.context)))
        const dial = Effect.scoped(Multiserver.dial(`${address}:${base64(pattern(32, 77))}`))
        const fiber = yield* Effect.forkChild(Effect.exit(dial).pipe(Effect.provide(near.context)))
        yield* until(() => tokens.length === 1)
        // One who waits goes away.
        if (answer === Effect.never) yield* Fiber.interrupt(fiber)
        yield* until(() => tokens.every((token) => token.every((byte) => byte === 0)))
      })
    )

    const denials: ReadonlyArray<readonly [string, Noise.Options["authorize"], boolean]> = [
      ["says no", () => Effect.succeed(false), false],
      ["dies", () => Effect.die("out of order"), true],
      ["throws", () => assert.fail("out of order"), true]
    ]
    it.live.each(denials)("closes on a peer when authorize %s, without a word", ([, authorize, failed]) =>
      Effect.gen(function* () {
        const far = yield* somebody(2, authorize === undefined ? {} : { authorize })
        const near = yield* somebody(1)
        const address = first(yield* served("net:127.0.0.1:0~noise", readAll).pipe(Effect.provide(far.context)))
        const why = yield* refusal(Effect.scoped(Multiserver.dial(address))).pipe(Effect.provide(near.context))
        assert.strictEqual(why, "Rejected(auth)")
        assert.isFalse((yield* near.next("DialFailed")).error.isRetryable)
        const { error, protocol } = yield* far.next("HandshakeFailed")
        assert.strictEqual(protocol, "noise")
        const publicKey = Identity.formatPublicKey(identityOf(1).publicKey)
        assert.deepInclude(error.reason, { _tag: "NotAuthorized", publicKey, failed })
      })
    )

    it.live("does not talk to another network, and may be asked again", () =>
      Effect.gen(function* () {
        const far = yield* somebody(2, {}, Redacted.make(pattern(32, 5)))
        const near = yield* somebody(1)
        const address = first(yield* served("net:127.0.0.1:0~noise", readAll).pipe(Effect.provide(far.context)))
        const why = yield* refusal(Effect.scoped(Multiserver.dial(address))).pipe(Effect.provide(near.context))
        assert.strictEqual(why, "Rejected(hello)")
        assert.isTrue((yield* near.next("DialFailed")).error.isRetryable)
        assert.strictEqual((yield* far.next("HandshakeFailed")).tag, "WrongNetwork")
      })
    )

    it.live("does not lead to another stack of the same key: what is above noise is part of the handshake", () =>
      Effect.gen(function* () {
        const [near, far] = [yield* somebody(1), yield* somebody(2)]
        const [plain, deflated] = [
          first(yield* served("net:127.0.0.1:0~noise", echo).pipe(Effect.provide(far.context))),
          first(yield* served("net:127.0.0.1:0~noise~deflate", echo).pipe(Effect.provide(far.context)))
        ]
        const led = [`${plain}~deflate`, String(deflated).replace("~deflate", "")]
        for (const address of led) {
          const dial = Effect.scoped(Multiserver.dial(address))
          assert.strictEqual(yield* refusal(dial).pipe(Effect.provide(near.context)), "Rejected(hello)")
          assert.include((yield* near.next("DialFailed")).error.message, "serves another stack")
          const { error, tag } = yield* far.next("HandshakeFailed")
          assert.strictEqual(tag, "WrongNetwork")
          assert.include(error.message, "dialed another key or stack")
        }
        for (const address of [plain, deflated]) {
          const [there, back] = yield* Effect.scoped(
            Effect.gen(function* () {
              const connection = yield* Multiserver.dial(address)
              yield* Effect.forkChild(Effect.andThen(connection.write(pattern(1000)), connection.end))
              return [connection.binding, yield* readAll(connection)]
            })
          ).pipe(Effect.provide(near.context))
          assert.strictEqual(there?.length, 64)
          assert.isTrue(sameBytes(back ?? new Uint8Array(0), pattern(1000)))
        }
      })
    )

    it.live("leads to any service of the key in the same stack, unless they have app keys of their own", () =>
      Effect.gen(function* () {
        const appKeys = [Redacted.make(pattern(32, 5)), Redacted.make(pattern(32, 6))] as const
        const address = (service: { readonly context: Context.Context<Multiserver.Multiserver> }) =>
          Effect.map(served("net:127.0.0.1:0~noise", readAll), first).pipe(Effect.provide(service.context))
        const [mail, files] = [yield* somebody(2, {}, appKeys[0]), yield* somebody(2, {}, appKeys[1])]
        const other = yield* somebody(2, {}, appKeys[0])
        const near = yield* somebody(1, {}, appKeys[0])
        const dial = (to: Address.Address) =>
          Effect.scoped(Multiserver.dial(to)).pipe(Effect.provide(near.context), Effect.asVoid)
        yield* dial(yield* address(mail))
        yield* dial(yield* address(other))
        assert.strictEqual(yield* refusal(dial(yield* address(files))), "Rejected(hello)")
      })
    )

    it.live("names the key among the causes when the server holds another one", () =>
      Effect.gen(function* () {
        const [near, far] = [yield* somebody(1), yield* somebody(2)]
        const address = first(yield* served("net:127.0.0.1:0~noise", readAll).pipe(Effect.provide(far.context)))
        const [place] = String(address).split("~noise:")
        const another = `${place}~noise:${Identity.formatPublicKey(identityOf(3).publicKey)}`
        const dial = Effect.scoped(Multiserver.dial(another))
        assert.strictEqual(yield* refusal(dial).pipe(Effect.provide(near.context)), "Rejected(hello)")
        const { message } = (yield* near.next("DialFailed")).error
        assert.include(message, "after our hello: it does not hold the key of the address, is of another network")
      })
    )

    it.live("says after authentication that the key was refused, since the peer holds the address's", () =>
      Effect.gen(function* () {
        const [near, far] = [yield* somebody(1), yield* somebody(2, { authorize: () => Effect.succeed(false) })]
        const address = first(yield* served("net:127.0.0.1:0~noise", readAll).pipe(Effect.provide(far.context)))
        yield* refusal(Effect.scoped(Multiserver.dial(address))).pipe(Effect.provide(near.context))
        const { message } = (yield* near.next("DialFailed")).error
        assert.match(message, /hung up after we authenticated: it refuses our key$/)
      })
    )

    it.live("closes at the byte that completes a message, without a word: that byte tells it from shs", () =>
      Effect.gen(function* () {
        const far = yield* somebody(2)
        for (const [target, length] of [
          ["net:127.0.0.1:0~noise", 48],
          ["net:127.0.0.1:0~shs", 64]
        ] as const) {
          const { transport } = first(yield* served(target, readAll).pipe(Effect.provide(far.context)))
          const port = transport._tag === "net" ? transport.port : 0
          const socket = net.connect(port, "127.0.0.1")
          let heard = 0
          let over = false
          socket.on("data", (data) => (heard += data.length))
          socket.on("end", () => (over = true)).on("error", () => (over = true))
          socket.write(pattern(length - 1))
          yield* turns
          assert.isFalse(over, target)
          socket.write(pattern(1))
          yield* until(() => over)
          assert.strictEqual(heard, 0)
          socket.destroy()
        }
      })
    )

    it.live("answers a recorded hello that is played again, and nothing that follows it", () =>
      Effect.gen(function* () {
        const [near, far] = [yield* somebody(1), yield* somebody(2)]
        const address = first(yield* served("net:127.0.0.1:0~noise", readAll).pipe(Effect.provide(far.context)))
        const port = address.transport._tag === "net" ? address.transport.port : 0
        const said: Array<Buffer> = []
        const middle = yield* listening((socket) => {
          const onward = net.connect(port, "127.0.0.1")
          socket
            .on("data", (data) => said.push(data))
            .pipe(onward)
            .pipe(socket)
          onward.on("error", () => {})
        })
        const through = String(address).replace(String(port), String(middle))
        yield* Effect.scoped(Multiserver.dial(through)).pipe(Effect.provide(near.context))
        const recorded = Buffer.concat(said)
        const answers = new Set<string>()
        for (let i = 0; i < 3; i++) {
          const socket = net.connect(port, "127.0.0.1")
          const heard: Array<Buffer> = []
          let over = false
          socket.on("data", (data) => heard.push(data))
          socket.on("end", () => (over = true)).on("error", () => (over = true))
          socket.write(recorded.subarray(0, 48))
          yield* until(() => Buffer.concat(heard).length === 48)
          answers.add(Buffer.concat(heard).toString("hex"))
          socket.write(recorded.subarray(48, 48 + 128))
          yield* until(() => over)
          assert.strictEqual(Buffer.concat(heard).length, 48)
          socket.destroy()
        }
        assert.strictEqual(answers.size, 3)
      })
    )

    it.live("takes 34 bytes beside its content for a frame, and no padding", () =>
      Effect.gen(function* () {
        const [near, far] = [yield* somebody(1), yield* somebody(2)]
        const address = first(yield* served("net:127.0.0.1:0~noise", readAll).pipe(Effect.provide(far.context)))
        const port = address.transport._tag === "net" ? address.transport.port : 0
        let seen = 0
        const middle = yield* listening((socket) => {
          const onward = net.connect(port, "127.0.0.1")
          socket.on("data", (data) => (seen += data.length))
          socket.pipe(onward).pipe(socket)
          onward.on("error", () => {})
        })
        const through = String(address).replace(String(port), String(middle))
        const connection = yield* Multiserver.dial(through).pipe(Effect.provide(near.context))
        let expected = 48 + 128
        for (const size of [1, 2, 100, 1000, 65_519]) {
          yield* connection.write(pattern(size))
          expected += size + 34
          yield* until(() => seen >= expected)
          yield* turns
          assert.strictEqual(seen, expected, `a write of ${size} bytes`)
        }
      })
    )

    it.live("does not talk to shs", () =>
      Effect.gen(function* () {
        const [near, far] = [yield* somebody(1), yield* somebody(2)]
        const address = first(yield* served("net:127.0.0.1:0~noise", readAll).pipe(Effect.provide(far.context)))
        const other = String(address).replace("~noise:", "~shs:")
        const why = yield* refusal(Effect.scoped(Multiserver.dial(other))).pipe(Effect.provide(near.context))
        assert.strictEqual(why, "Rejected(hello)")
        assert.strictEqual((yield* far.next("HandshakeFailed")).tag, "WrongNetwork")
      })
    )

    it.live("fails with TimedOut when the peer is silent, as one of shs is, whose first message is longer", () =>
      Effect.gen(function* () {
        const near = yield* somebody(1).pipe(Effect.provide(Limits.layer({ handshake: Duration.millis(50) })))
        const far = yield* somebody(2)
        const shs = first(yield* served("net:127.0.0.1:0~shs", readAll).pipe(Effect.provide(far.context)))
        const silent = yield* listening((socket) => socket.resume())
        for (const port of [silent, shs.transport._tag === "net" ? shs.transport.port : 0]) {
          const key = Identity.formatPublicKey(identityOf(2).publicKey)
          const dial = Effect.scoped(Multiserver.dial(`net:127.0.0.1:${port}~noise:${key}`))
          assert.strictEqual(yield* refusal(dial).pipe(Effect.provide(near.context)), "TimedOut")
        }
      })
    )

    it.live("is not dialed without a key, before any I/O", () =>
      Effect.gen(function* () {
        const near = yield* somebody(1)
        const why = yield* refusal(Effect.scoped(Multiserver.dial("net:127.0.0.1:1~noise"))).pipe(
          Effect.provide(near.context)
        )
        assert.strictEqual(why, "NotDialable")
      })
    )

    it.live("dials its own key", () =>
      Effect.gen(function* () {
        const own = yield* somebody(1)
        const bytes = pattern(200_000)
        yield* Effect.gen(function* () {
          const address = first(
            yield* served("memory:m~noise", (connection) => Effect.andThen(connection.write(bytes), connection.end))
          )
          const connection = yield* Multiserver.dial(address)
          assert.isTrue(sameBytes(yield* readAll(connection), bytes))
        }).pipe(Effect.provide(own.context))
      })
    )
  })
})
