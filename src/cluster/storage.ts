/** A cluster's table of runners, read as something that anybody may have written. */

import type { Runner } from "effect/cluster/Runner"
import type { RunnerAddress } from "effect/cluster/RunnerAddress"
import { RunnerStorage } from "effect/cluster/RunnerStorage"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { formatPublicKey } from "../Identity.ts"
import { Members } from "./members.ts"
import { type Dialable, fromRunnerAddress, type RunnerError, runnerError } from "./runnerAddress.ts"

/** The highest weight, and the most groups: a runner puts 128 points a unit of weight on the ring of each group. */
const most = 100

/** How many different faults of the database are logged at most. */
const mostLogged = 100

/** The addresses of a runner that is on the list. */
export const dialable = (
  { isRunner }: Members["Service"],
  address: RunnerAddress
): Effect.Effect<Dialable, RunnerError> =>
  Effect.flatMap(Effect.fromResult(fromRunnerAddress(address)), (found) =>
    Effect.flatMap(isRunner(found.key), (isListed) =>
      isListed ? Effect.succeed(found) : Effect.fail(runnerError(address.host, "NotListed"))
    )
  )

/** Whether a runner asks for no more of the ring than runners need. */
export const isLight = (weight: number, groups: number): boolean => weight > 0 && weight <= most && groups <= most

const checked = (members: Members["Service"], { address, groups, weight }: Runner) =>
  isLight(weight, groups.length) ? dialable(members, address) : Effect.fail(runnerError(address.host, "TooHeavy"))

/**
 * The storage without the runners that no member could be: they get no shards, are not pinged, and are logged once.
 *
 * A runner that starts removes the other addresses of its key, which it had before it was killed. Otherwise they would
 * keep their shards until they expire: where the new process answers at the old address, pings find it alive. It does
 * so once, so that two runners with the same key do not remove each other again and again.
 */
export const layerChecked: Layer.Layer<RunnerStorage, never, RunnerStorage | Members> = Layer.effect(
  RunnerStorage,
  Effect.gen(function* () {
    const storage = yield* RunnerStorage
    const members = yield* Members
    const logged = new Set<string>()
    let own: Runner | undefined

    const log = ({ message }: RunnerError) => {
      if (logged.has(message) || logged.size >= mostLogged) return Effect.void
      logged.add(message)
      return Effect.logWarning(`Not a runner of this cluster, so it is ignored: ${message}`)
    }

    // Without itself in the table, a runner would register again at once, and again.
    const isOne = (runner: Runner) =>
      own !== undefined && Equal.equals(own, runner)
        ? Effect.succeed(true)
        : Effect.matchEffect(checked(members, runner), {
            onSuccess: () => Effect.succeed(true),
            onFailure: (error) => Effect.as(log(error), false)
          })

    const removeOlder = ({ address }: Runner) =>
      Effect.gen(function* () {
        const { key } = Result.getOrThrow(fromRunnerAddress(address))
        const isOlder = (other: RunnerAddress) => {
          const found = fromRunnerAddress(other)
          return (
            !Equal.equals(other, address) &&
            Result.isSuccess(found) &&
            formatPublicKey(found.success.key) === formatPublicKey(key)
          )
        }
        const runners = yield* storage.getRunners
        const older = runners.filter(([runner]) => isOlder(runner.address))
        yield* Effect.forEach(older, ([runner]) => storage.unregister(runner.address), { discard: true })
      })

    return {
      ...storage,
      getRunners: Effect.flatMap(
        storage.getRunners,
        Effect.filter(([runner]) => isOne(runner))
      ),
      register: (runner, healthy) =>
        Effect.gen(function* () {
          if (own === undefined) yield* removeOlder(runner)
          const id = yield* storage.register(runner, healthy)
          own = runner
          return id
        })
    }
  })
)
