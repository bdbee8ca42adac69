import { Console, Effect, Layer, Option, Redacted, Stream } from "effect"
import { Base64 } from "effect/encoding"
import {
  type Address,
  Connection,
  Identity,
  Invite,
  Multiserver,
  NodeMultiserver,
  Primitives,
  Sodium
} from "effect-multiserver/node"

// Invites over shs and noise, from both sides. A pub lets in whoever brings the secret of an invite, once. The friend
// who does says which key is really theirs, and comes with that key from then on.

/**
 * The pub's memory: keys of members, and what it knows of open invites. A real pub keeps both on disk, and lets invites
 * lapse.
 */
const members = new Set<string>()
const invites = new Set<string>()

const hashOf = (token: Redacted.Redacted<Uint8Array>) =>
  Effect.map(Primitives.Primitives, ({ sha256 }) => Base64.encode(sha256(Redacted.value(token))))

/** Deletes an invite as it looks it up: of two friends who bring one invite at once, one gets in. */
const authorize = ({ publicKey, token }: NodeMultiserver.Applicant) =>
  Effect.gen(function* () {
    const key = Identity.formatPublicKey(publicKey)
    // With shs the friend speaks as the key of the seed; with noise the token comes with the friend's own key.
    const invite = Option.isSome(token) ? yield* hashOf(token.value) : key
    return members.has(key) || invites.delete(invite)
  })

const textOf = (connection: Connection.Connection) =>
  Connection.stream(connection).pipe(Stream.decodeText, Stream.mkString)
const say = (connection: Connection.Connection, text: string) =>
  Effect.andThen(connection.write(new TextEncoder().encode(text)), connection.end)

/** A peer that is no member yet has come with an invite, and says its own key. */
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

/** The pub makes an invite to an address of its own, and remembers what it will let in. */
const invite = (address: Address.Address) =>
  Effect.gen(function* () {
    const secret = yield* Invite.newSecret
    const { publicKey } = Identity.fromSeed(yield* Primitives.Primitives, secret)
    const isToken = address.stack.includes("noise")
    invites.add(isToken ? yield* hashOf(secret) : Identity.formatPublicKey(publicKey))
    return Invite.formatWithSecrets(yield* Effect.fromResult(Invite.make(address, secret)))
  })

/** A friend who has got the text of an invite: dials with its secret, then without. */
const friend = (text: string) =>
  Effect.gen(function* () {
    const address = yield* Effect.fromResult(Invite.parse(text))
    const own = Identity.formatPublicKey((yield* Identity.Identity).publicKey)
    const asGuest = yield* Multiserver.dial(address)
    yield* say(asGuest, own)
    yield* Console.log(yield* textOf(asGuest))
    const asMember = yield* Multiserver.dial(asGuest.remote)
    yield* Console.log(yield* textOf(asMember))
  }).pipe(Effect.scoped)

/** Somebody else who has seen the invite comes too late. */
const late = (text: string) =>
  Effect.gen(function* () {
    const refused = yield* Effect.flip(Multiserver.dial(yield* Effect.fromResult(Invite.parse(text))))
    if (refused._tag === "DialError") yield* Console.log(`the invite is used up: ${refused.reason._tag}`)
  }).pipe(Effect.scoped)

/** Everybody has an identity of their own. */
const identity = () => Layer.fresh(Identity.layerEphemeral).pipe(Layer.provideMerge(Sodium.layer))
const pub = NodeMultiserver.layer({ authorize }).pipe(Layer.provideMerge(identity()))
const somebody = () => NodeMultiserver.layer().pipe(Layer.provideMerge(identity()))

const program = Effect.gen(function* () {
  const listener = yield* Multiserver.listen(["net:127.0.0.1:0~shs", "net:127.0.0.1:0~noise"])
  yield* Effect.forkScoped(listener.run(handler))
  for (const address of listener.addresses()) {
    const text = yield* invite(address)
    yield* Effect.provide(friend(text), somebody())
    yield* Effect.provide(late(text), somebody())
  }
}).pipe(Effect.scoped, Effect.provide(pub))

await Effect.runPromise(program)
