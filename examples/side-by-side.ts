/**
 * The first example of npm multiserver's README, line for line: two incompatible security protocols side by side, so
 * that the first can be dropped when nobody needs it any more. `shs2` is written as somebody else would write it: here
 * it is shs in a network of its own.
 */
import { Effect, Layer, Option, Redacted, Result, Schema } from "effect"
import {
  Address,
  AppKey,
  type Connection,
  Identity,
  Link,
  Multiserver,
  Net,
  Primitives,
  Shs,
  Transform
} from "effect-multiserver/node"

// var appKey = "dTuPysQsRoyWzmsK6iegSV4U3Qu912vPpkOyx6bPuEk="
export const appKey = Option.getOrThrow(AppKey.parse("dTuPysQsRoyWzmsK6iegSV4U3Qu912vPpkOyx6bPuEk="))

/** `shs2` on listening, `shs2:KEY` in an address. */
const Section = Address.section("shs2", Schema.Union([Schema.Literal(""), Identity.PublicKeyFromString]))

const section = (key: Identity.PublicKey) =>
  new Address.Opaque({ name: "shs2", data: `:${Identity.formatPublicKey(key)}` })

// require('secret-handshake2')({keys, appKey, auth})
const shs2 = Layer.effect(
  Transform.Transform("shs2"),
  Effect.gen(function* () {
    const primitives = yield* Primitives.Primitives
    const identity = yield* Identity.Identity
    const other = Redacted.make(primitives.sha256(yield* AppKey.bytes))
    const inner = yield* Effect.provideService(Shs.make(), AppKey.AppKey, other)
    /** The same handshake, under its own name in the address of the other end. */
    const named = (wrap: Result.Result<Transform.Wrap, Transform.Refusal>, link: Link.Link) =>
      Effect.map(Result.getOrThrow(wrap)(link), (secured) => {
        const { peer } = secured
        const key = peer._tag === "Authenticated" ? peer.publicKey : identity.publicKey
        return Link.over(secured, secured.port, { remote: link.remote.with(section(key)) })
      })
    return Transform.make({
      section: Section,
      authenticates: true,
      notDialable: (key) => (key === "" ? "shs2 needs the key of the peer: shs2:KEY" : undefined),
      outbound: (link, key, below, above) =>
        named(
          inner.outbound(key === "" ? new Address.Shs({}) : new Address.Shs({ publicKey: key }), below, above),
          link
        ),
      inbound: (link, _, below, above) => named(inner.inbound(new Address.Shs({}), below, above), link),
      advertise: () => section(identity.publicKey)
    })
  })
)

// #region servers
// var ms = MultiServer([
//   [net({port: 3333}), shs({keys, appKey, auth})],
//   [net({port: 4444}), shs2({keys, appKey, auth})]
// ])
export const Live = Multiserver.layer(["net~shs", "net~shs2"]).pipe(
  Layer.provide([Net.layer(), Shs.layer({ authorize: () => Effect.succeed(true) }), shs2]),
  Layer.provide(AppKey.layer(appKey))
)

// ms.server(function (stream) { console.log('connection from', stream.address) })
export const server = <E, R>(onConnection: (connection: Connection.Connection) => Effect.Effect<unknown, E, R>) =>
  Effect.gen(function* () {
    const listener = yield* Multiserver.listen(["net:127.0.0.1:0~shs", "net:127.0.0.1:0~shs2"])
    yield* Effect.forkScoped(listener.run(onConnection))
    // console.log(ms.stringify())          net:<host>:3333~shs:<key>;net:<host>:4444~shs2:<key>
    return listener.addresses()
  })
// #endregion
