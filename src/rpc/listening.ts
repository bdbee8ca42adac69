/** Listening for peers that prove their keys. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type AddressError, format } from "../Address.ts"
import { ListenError, NotListenable } from "../ListenError.ts"
import type { Listener, ListenOptions } from "../Listener.ts"
import * as Multiserver from "../Multiserver.ts"

/** Listens, if all addresses prove keys. Otherwise it fails with `NotListenable`, which says why they have to. */
export const listenAuthenticated = (
  target: Multiserver.Target,
  options: ListenOptions | undefined,
  why: string
): Effect.Effect<Listener, AddressError | ListenError, Multiserver.Multiserver | Scope.Scope> =>
  Effect.flatMap(Multiserver.listen(target, options), (listener) => {
    if (listener.authenticates) return Effect.succeed(listener)
    const address = listener
      .addresses()
      .map((each) => format(each))
      .join(";")
    const detail = `${why}, and this stack proves no key: add ~shs or ~noise`
    return Effect.fail(new ListenError({ address, reason: new NotListenable({ detail }) }))
  })
