/**
 * Calls code of the application in such a way that its faults end nothing else. A sink of events that dies loses that
 * event. A policy that throws denies. Faults are logged.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Address } from "./Address.ts"
import type { Sink } from "./Events.ts"
import { effectOf } from "./effectOf.ts"
import { allowAll, type PolicyRules } from "./Policy.ts"
import { unknownIp } from "./Transport.ts"

/** Logs what a callback threw, where there is no fiber to fail. */
export type Report = (what: string, defect: unknown) => void

/** Makes a `Report` that logs with the loggers of the context in which it is made. */
export const makeReport: Effect.Effect<Report> = Effect.map(
  Effect.context<never>(),
  (context): Report =>
    (what, defect) =>
      void Effect.runForkWith(context)(Effect.logError(what, Cause.die(defect)))
)

/**
 * Runs the effect, and logs what it fails with. It never fails, and is not interrupted unless the fiber that runs it
 * is.
 */
export const guardedEffect =
  <Input extends ReadonlyArray<unknown>>(what: string, run: (...input: Input) => Effect.Effect<void>) =>
  (...input: Input): Effect.Effect<void> =>
    Effect.catchCause(
      Effect.suspend(() => effectOf("it", run(...input))),
      (cause) => Effect.logError(what, cause)
    )

/** Tells somebody of each of these, if there is somebody. The first call that throws is logged, and is the last. */
export const tellEach = <A>(
  what: string,
  tell: ((each: A) => void) | undefined,
  all: ReadonlyArray<A>
): Effect.Effect<void> =>
  guardedEffect(what, () =>
    Effect.sync(() => {
      for (const each of all) tell?.(each)
    })
  )()

/**
 * As `guardedEffect`, but no caller waits longer than `patience`. A call that takes longer is interrupted, and its
 * input is lost. While an interrupted call still runs, no further call is made, and those inputs are lost too. Only the
 * first of several late calls is logged.
 */
export const boundedEffect = <Input extends ReadonlyArray<unknown>>(
  what: string,
  run: (...input: Input) => Effect.Effect<void>,
  patience: Duration.Duration
): ((...input: Input) => Effect.Effect<void>) => {
  const guarded = guardedEffect(what, run)
  let stuck = 0
  let isLate = false
  return (...input) =>
    Effect.gen(function* () {
      if (stuck > 0) return
      const call = yield* Effect.forkDetach(guarded(...input), { startImmediately: true })
      if (call.pollUnsafe() === undefined) yield* endOrTime(call, patience)
      if (call.pollUnsafe() !== undefined) {
        isLate = false
        return
      }
      call.interruptUnsafe()
      stuck++
      call.addObserver(() => stuck--)
      if (!isLate) yield* Effect.logError(`${what}: it took longer than ${Duration.toMillis(patience)} ms`)
      isLate = true
    })
}

/** Waits until the call ends or the time is over. If the wait is interrupted, the call is too. */
const endOrTime = (call: Fiber.Fiber<void>, patience: Duration.Duration): Effect.Effect<void> =>
  Effect.flatMap(Effect.forkDetach(Effect.sleep(patience), { startImmediately: true }), (timer) =>
    Effect.callback((resume) => {
      const end = () => {
        timer.interruptUnsafe()
        resume(Effect.void)
      }
      call.addObserver(end)
      timer.addObserver(end)
      return Effect.sync(() => {
        call.interruptUnsafe()
        timer.interruptUnsafe()
      })
    })
  )

/** What emits events when there is no sink. It is one value, so that no event has to be made then. */
export const nobody: Sink = () => Effect.void

/** Gives each event to every sink at the same time. None waits for another. */
export const emitTo = (sinks: ReadonlyArray<Sink>, patience: Duration.Duration): Sink => {
  const bounded = sinks.map((sink) => boundedEffect("a sink of events failed", sink, patience))
  const [first = nobody, ...others] = bounded
  if (others.length === 0) return first
  return (...input) => Effect.forEach(bounded, (sink) => sink(...input), { discard: true, concurrency: "unbounded" })
}

/** Rules about IPs can't be obeyed for an IP that nobody knows, so they deny it unless they say otherwise. */
const mayDialUnknownIp = (rules: PolicyRules, address: Address): boolean =>
  rules.mayDialUnknownIp?.(address) ?? rules.mayDialIp === allowAll.mayDialIp

/**
 * Rules that deny when they throw, and when they answer anything but `true`: the promise of an `async` function would
 * count as true otherwise. Policy is asked in callbacks of the system, where a throw would end the process.
 */
export const guardedPolicy = (rules: PolicyRules, report: Report): PolicyRules => {
  const ask = <A>(name: keyof PolicyRules, question: () => A, denied: A): A => {
    try {
      return question()
    } catch (defect) {
      report(`the policy's ${name} threw, so it denies`, defect)
      return denied
    }
  }
  return {
    mayDial: (address, to) => ask("mayDial", () => rules.mayDial(address, to), false) === true,
    mayDialIp: (ip, address) =>
      (ip === unknownIp
        ? ask("mayDialUnknownIp", () => mayDialUnknownIp(rules, address), false)
        : ask("mayDialIp", () => rules.mayDialIp(ip, address), false)) === true,
    mayConnect: (source, at) => ask("mayConnect", () => rules.mayConnect(source, at), false) === true,
    order:
      // The dialer compares it by identity, and orders nothing then.
      rules.order === allowAll.order
        ? allowAll.order
        : (understood) => {
            const ordered = ask("order", () => rules.order(understood), [])
            return Array.isArray(ordered) ? ordered : []
          }
  }
}
