/** The lowest Node that the command runs on. The library alone runs on older ones. */

/** Of `@effect/platform-node`, which the command needs and the library doesn't. */
const major = 22
const minor = 19

/**
 * What the command says instead of running on a Node that is too old. `undefined` where it can run, as under Deno and
 * Bun, which give the version of the Node that they are like.
 */
export const tooOld = (version: string): string | undefined => {
  const [ownMajor = 0, ownMinor = 0] = version.split(".").map(Number)
  if (ownMajor > major || (ownMajor === major && ownMinor >= minor)) return undefined
  const needs = `the command needs Node ${major}.${minor} or later, because @effect/platform-node does`
  return `multiserver: ${needs}. This is Node ${version}.`
}
