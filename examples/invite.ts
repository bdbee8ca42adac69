import { Console, Effect, Layer, Stream } from "effect"
import { Connection, Identity, Invite, Multiserver, Net, Primitives, Shs, Sodium } from "effect-multiserver/node"

// An invite, from both sides. A pub lets in the key of the invite's seed once. Whoever comes with it says which key is really
// theirs, and comes with that one from then on.

/** Who may come in, by key. A real pub keeps both on disk, and lets guests lapse. */
const members = new Set<string>()
const guests = new Set<string>()

/** A guest is struck off where it is looked up: of two who come with one seed at once, one gets in. */
const authorize = ({ publicKey }: Shs.Applicant) =>
  Effect.sync(() => {
    const key = Identity.formatPublicKey(publicKey)
    return members.has(key) || guests.delete(key)
  })

const textOf = (connection: Connection.Connection) =>
  Connection.stream(connection).pipe(Stream.decodeText, Stream.mkString)
const say = (connection: Connection.Connection, text: string) =>
  Effect.andThen(connection.write(new TextEncoder().encode(text)), connection.end)

/** Who is no member yet has come with a seed: it says its own key. */
const handler = (connection: Connection.Connection) =>
  Effect.gen(function* () {
    const { peer } = connection
    const isMember = peer._tag === "Authenticated" && members.has(Identity.formatPublicKey(peer.publicKey))
    if (isMember) return yield* say(connection, "welcome back")
    const own = Identity.parsePublicKey(yield* textOf(connection))
    if (own === undefined) return yield* say(connection, "that is no key")
    members.add(Identity.formatPublicKey(own))
    yield* say(connection, "welcome")
  })

/** The pub makes an invite: a seed, whose key it will let in. */
const invite = (address: Parameters<typeof Invite.make>[0]) =>
  Effect.gen(function* () {
    const seed = yield* Invite.newSeed
    const { publicKey } = Identity.fromSeed(yield* Primitives.Primitives, seed)
    guests.add(Identity.formatPublicKey(publicKey))
    return Invite.formatWithSecrets(yield* Effect.fromResult(Invite.make(address, seed)))
  })

/** Somebody who has got the text of an invite: first with its seed, then as themselves. */
const friend = (text: string) =>
  Effect.gen(function* () {
    const address = yield* Effect.fromResult(Invite.parse(text))
    const own = Identity.formatPublicKey((yield* Identity.Identity).publicKey)
    const asGuest = yield* Multiserver.dial(address)
    yield* say(asGuest, own)
    yield* Console.log(yield* textOf(asGuest))
    const asMember = yield* Multiserver.dial(asGuest.remote)
    yield* Console.log(yield* textOf(asMember))
    const again = yield* Effect.flip(Multiserver.dial(address))
    yield* Console.log(`the invite is used up: ${again.reason._tag}`)
  }).pipe(Effect.scoped)

/** Each with an identity of their own. */
const as = (authorize: Shs.Options["authorize"]) =>
  Multiserver.layer(["net~shs"]).pipe(
    Layer.provide([Net.layer(), Shs.layer(authorize === undefined ? {} : { authorize })]),
    Layer.provideMerge(Layer.fresh(Identity.layerEphemeral)),
    Layer.provideMerge(Sodium.layer)
  )

const program = Effect.gen(function* () {
  const listener = yield* Multiserver.listen("net:127.0.0.1:0~shs")
  yield* Effect.forkScoped(listener.run(handler))
  const [address] = listener.addresses()
  if (address === undefined) return
  const text = yield* invite(address)
  yield* Effect.provide(friend(text), as(undefined))
}).pipe(Effect.scoped, Effect.provide(as(authorize)))

await Effect.runPromise(program)
