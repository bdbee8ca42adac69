/** Runs sequences, and says of one that fails how to have it again. */
import fc from "fast-check"
import { arbitraries } from "./commands.ts"
import { Model } from "./model.ts"
import { World, within } from "./world.ts"

/** One sequence again, as its failure says. */
export interface Replay {
  /** Which of the sequences of the seed it is, and how it was made shorter. */
  readonly path: string
  /** Which of its commands were run. */
  readonly commands: string
}

export interface Options {
  readonly seed: number
  readonly runs: number
  readonly replay?: Replay | undefined
  /** By default all. */
  readonly among?: typeof arbitraries
  /** Hears of each sequence before it begins. */
  readonly onRun?: () => void
}

/** How many steps there were, and what was told how often. */
export type Tally = ReadonlyMap<string, number>

/**
 * What has to happen gets a minute. A sequence that has failed is made shorter in many tries, so it is waited less
 * there.
 */
const patience = { first: 60_000, shrinking: 2_000 }

/** How to have a sequence again. */
export const again = (seed: number, { commands, path }: Replay): string =>
  `npm run fuzz -- --only sequences --seed ${seed} --path ${path} --commands ${commands}`

/** Rejects with the shortest sequence that fails too, and with how to have it again. */
export const sequences = async ({ among = arbitraries, onRun, replay, runs, seed }: Options): Promise<Tally> => {
  const tally = new Map<string, number>()
  /**
   * The first failure, with its sequence as it was: what depends on the moment may not come again when it is made
   * shorter.
   */
  let first: string | undefined
  const property = fc.asyncProperty(
    fc.commands([...among], { maxCommands: 60, size: "max", ...(replay && { replayPath: replay.commands }) }),
    async (commands) => {
      onRun?.()
      const world = await World.make(first === undefined ? patience.first : patience.shrinking)
      const run = world
        .listenOnAll()
        .then(() => fc.asyncModelRun(() => ({ model: new Model(), real: world }), commands))
      const failed = await run.then(
        () => undefined,
        (error: unknown) => ({ error })
      )
      const left = await world.close()
      const error = failed?.error ?? (left === undefined ? undefined : new Error(left))
      if (error !== undefined) {
        first ??= [messageOf(error), ...listed(String(commands))].join("\n")
        throw error
      }
      for (const [what, times] of world.tally) tally.set(what, (tally.get(what) ?? 0) + times)
    }
  )
  const options = { seed, numRuns: runs, ...(replay && { path: replay.path, endOnFailure: true }) }
  await World.warmUp()
  const details = await within.run("sequence", () => fc.check(property, options))
  if (!details.failed) return tally
  const text = String(details.counterexample?.[0])
  const commands = /replayPath="([^"]*)"/.exec(text)?.[1] ?? ""
  const shortest = [messageOf(details.errorInstance), ...listed(text)].join("\n")
  const said = [shortest, `again: ${again(seed, { path: details.counterexamplePath ?? "", commands })}`]
  if (first !== undefined && first !== shortest) said.push(`What had failed first: ${first}`)
  throw new Error(said.join("\n"), { cause: details.errorInstance })
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** The commands that were run, one a line. */
const listed = (commands: string): ReadonlyArray<string> =>
  commands
    .replace(/\s*\/\*.*$/, "")
    .split(",")
    .map((command) => `  ${command}`)

/** Until there were that many steps, each seed for a hundred sequences. */
export const steps = async (many: number, options: Omit<Options, "runs">): Promise<Tally> => {
  const tally = new Map<string, number>()
  for (let { seed } = options; (tally.get("steps") ?? 0) < many; seed = (seed + 1) >>> 0) {
    const more = await sequences({ ...options, seed, runs: 100 })
    for (const [what, times] of more) tally.set(what, (tally.get(what) ?? 0) + times)
  }
  return tally
}
