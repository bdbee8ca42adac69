/**
 * The code blocks of a page. The line that opens a block says after its language what the block is: the example that it
 * shows (`ts examples/rpc.ts#server`), or a name, by which a test runs it (`sh install`).
 */
import * as fs from "node:fs"

export interface Block {
  readonly language: string
  readonly name: string
  readonly text: string
}

export const read = (path: string): string => fs.readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")

export const blocksOf = (page: string): ReadonlyArray<Block> =>
  [...read(page).matchAll(/^```(\w+)(?: (\S+))?\n([\s\S]*?)^```$/gm)].map(
    ([, language = "", name = "", text = ""]) => ({
      language,
      name,
      text
    })
  )

/** The text of an example, `examples/rpc.ts`, or of one of its regions, `examples/rpc.ts#server`. */
export const shown = (name: string): string | undefined => {
  const [path = "", region] = name.split("#")
  const text = read(path)
  if (region === undefined) return text
  return new RegExp(`^// #region ${region}\\n([\\s\\S]*?)^// #endregion$`, "m").exec(text)?.[1]
}

/** A block with other words at some of its places, as somebody changes it who follows the page. */
export const block = (page: string, name: string, words: Readonly<Record<string, string>> = {}): string => {
  const found = blocksOf(page).filter((each) => each.name === name)
  if (found[0] === undefined || found.length > 1) throw new Error(`${page} has ${found.length} blocks ${name}`)
  return Object.entries(words).reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`${page}, ${name} does not say ${from}`)
    return text.replaceAll(from, to)
  }, found[0].text)
}
