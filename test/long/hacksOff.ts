/**
 * Loaded into each process that runs tests. With `HACKS=off` in the environment, every hack of the library is off in it: each hack's
 * module has a reference that turns it off, and here is the list of them.
 */

/** What turns each off. */
const hacks: ReadonlyArray<() => void> = []

if (process.env.HACKS === "off") {
  for (const turnOff of hacks) turnOff()
}
