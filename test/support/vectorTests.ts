/** The tests that an engine has to have passed to have passed all vectors of test/vectors. */
import { hybrid, profile, publicVectors } from "../xk/vectors.ts"
import { boxFailures, boxStreams, handshakes, scripts } from "./vectors.ts"

const each = (test: string, all: ReadonlyArray<{ readonly id: string }>) => all.map(({ id }) => `${test} ${id}`)

const titles = [
  ...each("shs handshake steps > follow vector", handshakes),
  ...each("shs against scripted peers >", scripts),
  ...["seals", "opens"].flatMap((does) => each(`box stream > ${does} vector`, boxStreams)),
  ...each("box stream > answers vector", boxFailures),
  ...publicVectors.map((vector) => `the Noise handshake > follows the public vector of ${vector.protocol_name}`),
  ...each("the noise profile > follows vector", profile.handshakes),
  ...each("the noise profile > answers an initiator that claims the key of vector", profile.claims.vectors),
  ...each("the noise profile > refuses the accept frame of vector", profile.accepts.vectors),
  ...each("the noisepq profile > follows vector", hybrid.handshakes),
  ...["seal", "open"].flatMap((does) => each(`noise frames > ${does} vector`, profile.streams)),
  ...each("noise frames > answer vector", profile.failures),
  "noise frames > take the next key after 65,536 frames"
].map((title) => `on noble: > ${title}`)

/** Those that are not among the names of tests, but for those whose names have one of the words of `without`. */
export const missing = (names: ReadonlyArray<string>, without: ReadonlyArray<string>): ReadonlyArray<string> =>
  titles.filter(
    (title) =>
      !without.some((words) => title.includes(words)) &&
      // What follows an id is said with other words.
      !names.some((name) => name === title || [" ", ",", ":"].some((next) => name.startsWith(title + next)))
  )
