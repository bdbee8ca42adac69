/** What every fuzzer is, and how one is run. */
import { Random } from "./random.ts"

/** What a run tells. */
export interface Notes {
  /** What the input is, for who has to understand a failure. */
  readonly input: (shown: () => string) => void
  /** What became of it. Counted, to show that the fuzzer gets where it is meant to. */
  readonly saw: (outcome: string) => void
}

export interface Fuzzer {
  readonly name: string
  /**
   * One run: makes inputs of the randomness, and throws when a property is broken. Answers how many inputs it gave to
   * the code under test.
   */
  readonly run: (random: Random, notes: Notes) => number | Promise<number>
  /** The outcomes without which ten thousand inputs have shown nothing. */
  readonly reaches: ReadonlyArray<string>
  /** Lets go of what runs have opened. */
  readonly close?: () => Promise<void>
}

export interface Options {
  readonly seed: number
  readonly inputs: number
  /** Only this run. */
  readonly run?: number | undefined
  /** Hears of each run before it begins. */
  readonly onRun?: (run: number) => void
}

export interface Report {
  readonly inputs: number
  readonly runs: number
  readonly outcomes: ReadonlyMap<string, number>
}

/** A property does not hold. */
export class Broken extends Error {}

/** The contract of a fuzzer's properties: `holds`, or the run is a failure. */
export const check = (holds: boolean, what: () => string): void => {
  if (!holds) throw new Broken(what())
}

/** How to have a run again. */
export const replay = (name: string, seed: number, run: number): string =>
  `npm run fuzz -- --only ${name} --seed ${seed} --run ${run}`

/** Runs until there were that many inputs. Rejects with the seed and run of the first failure. */
export const fuzz = async (fuzzer: Fuzzer, { inputs, onRun, run: only, seed }: Options): Promise<Report> => {
  const outcomes = new Map<string, number>()
  const saw = (outcome: string) => void outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  let shown = (): string => "not made yet"
  const input: Notes["input"] = (next) => {
    shown = next
  }
  const notes: Notes = { saw, input }
  let done = 0
  let runs = 0
  for (let run = only ?? 0; only === undefined ? done < inputs : run === only; run++) {
    onRun?.(run)
    try {
      const answer = fuzzer.run(new Random(seed, run), notes)
      done += typeof answer === "number" ? answer : await answer
    } catch (cause) {
      const detail = cause instanceof Broken ? cause.message : cause instanceof Error ? cause.stack : String(cause)
      throw new Error(
        `${fuzzer.name} fails: ${detail}\ninput: ${shown().slice(0, 4000)}\nagain: ${replay(fuzzer.name, seed, run)}`,
        {
          cause
        }
      )
    }
    runs++
  }
  await fuzzer.close?.()
  return { inputs: done, runs, outcomes }
}
