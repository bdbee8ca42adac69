/** What peers in processes of their own have in common: commands come as JSON lines, and so does what happens. */
import { createInterface } from "node:readline"

/**
 * Runs commands to the end of stdin, each with a function that says something to whoever has told it: several tests may
 * share the process.
 */
export const obey = (run) =>
  createInterface({ input: process.stdin }).on("line", (line) => {
    const { from, ...command } = JSON.parse(line)
    run(command, (event) => process.stdout.write(`${JSON.stringify({ to: from, ...event })}\n`))
  })
