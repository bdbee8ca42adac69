/**
 * Nothing that a test run says holds a secret of it: when all tests are done, what every process has written to stdout
 * and stderr, and every error, span, log and event, is searched for each secret that any of them has used. A hit fails
 * the run.
 */
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { setImmediate as turn } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { blocks, Secrets } from "./search.ts"

const readAll = (dir: string, kind: (name: string) => boolean) =>
  fs
    .readdirSync(dir)
    .filter(kind)
    .map((name) => ({ name, bytes: fs.readFileSync(path.join(dir, name)) }))

interface Found {
  readonly hits: ReadonlyArray<string>
  readonly secrets: number
  readonly said: number
}

/**
 * Says of each hit where it was, and which secrets are the same one, but nothing of them. There may be much to search,
 * and meanwhile this process has to hear that the last worker has ended: so the search gives way after each block.
 */
export const search = async (dir: string): Promise<Found> => {
  const secrets = new Secrets()
  for (const { bytes } of readAll(dir, (name) => name.endsWith(".secrets"))) secrets.add(bytes)
  const files = readAll(dir, (name) => !name.endsWith(".secrets"))
  const hits = new Set<string>()
  for (const { bytes, name } of files) {
    for (const part of bytes.toString("latin1").split(/^(?=## )/m)) {
      const where = /^## (.*)/.exec(part)?.[1] ?? ""
      for (const block of blocks(Buffer.from(part, "latin1"))) {
        for (const { form, secret } of secrets.findIn(block)) {
          const which = createHash("sha256").update(secret).digest("hex").slice(0, 8)
          hits.add(`${name.replace(/^\d+\./, "")}, as ${form}, ${where}: secret number ${which}`)
        }
        await turn()
      }
    }
  }
  return { hits: [...hits], secrets: secrets.size, said: files.reduce((sum, { bytes }) => sum + bytes.length, 0) }
}

export default async (): Promise<() => Promise<void>> => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "ms-secrets-"))
  // A test's child may be another user.
  fs.chmodSync(dir, 0o1777)
  process.env.SECRETS_SCAN_DIR = dir
  const hook = fileURLToPath(new URL("hook.cjs", import.meta.url))
  const options = process.env.NODE_OPTIONS ?? ""
  // In quotes, because a folder's name may have a space.
  if (!options.includes(hook)) process.env.NODE_OPTIONS = `${options} --require ${JSON.stringify(hook)}`
  createRequire(import.meta.url)(hook).watching()
  return async () => {
    const { hits, said, secrets } = await search(dir)
    fs.rmSync(dir, { recursive: true })
    const kib = Math.round(said / 1024)
    console.log(`secrets: ${secrets} were used, and ${hits.length === 0 ? "none was" : "some were"} said in ${kib} KiB`)
    if (hits.length > 0) throw new Error(`secrets were said:\n${hits.join("\n")}`)
  }
}
