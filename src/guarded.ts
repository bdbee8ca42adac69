/**
 * What the application gave, called so that its faults end nothing of ours. A sink of events that dies loses that
 * event. A policy that throws denies. Each fault is logged once.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { allowAll, type PolicyRules } from "./Policy.ts"

/** Logs what was thrown in a callback, where there is no fiber to fail. */
export type Report = (what: string, defect: unknown) => void

/** Logs with the loggers of the context that it is run in. */
export const makeReport: Effect.Effect<Report> = Effect.map(
  Effect.context<never>(),
  (context): Report =>
    (what, defect) =>
      void Effect.runForkWith(context)(Effect.logError(what, Cause.die(defect)))
)

/** Never fails, and is not interrupted unless the fiber that runs it is. */
export const guardedEffect =
  <Input>(what: string, run: (input: Input) => Effect.Effect<void>) =>
  (input: Input): Effect.Effect<void> =>
    Effect.catchCause(
      Effect.suspend(() => run(input)),
      (cause) => Effect.logError(what, cause)
    )

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
    mayDialIp: (ip, address) => ask("mayDialIp", () => rules.mayDialIp(ip, address), false) === true,
    mayConnect: (source, at) => ask("mayConnect", () => rules.mayConnect(source, at), false) === true,
    order:
      // Asked for by identity: this order is no order.
      rules.order === allowAll.order
        ? allowAll.order
        : (understood) => {
            const ordered = ask("order", () => rules.order(understood), [])
            return Array.isArray(ordered) ? ordered : []
          }
  }
}
