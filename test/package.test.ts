/** What is published: what is in the tarball, and that npm takes it. */
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"

const root = fileURLToPath(new URL("..", import.meta.url))
/** What npm says of a tarball in JSON, where a late one also says whose it is. */
const Tarball = Schema.Struct({ files: Schema.Array(Schema.Struct({ path: Schema.String })) })
const Said = Schema.fromJsonString(Schema.Union([Tarball, Schema.Struct({ "effect-multiserver": Tarball })]))

/** Publishes to a registry that has nothing yet, but for the tarball itself. */
const publish = async (): Promise<{ readonly files: ReadonlySet<string>; readonly stderr: string }> => {
  const registry = http.createServer((_, response) => response.writeHead(404).end("{}"))
  await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve))
  const { port } = registry.address() as AddressInfo
  const args = [
    ...["publish", "--dry-run", "--ignore-scripts", "--json"],
    ...[`--registry=http://127.0.0.1:${port}`, `--//127.0.0.1:${port}/:_authToken=none`]
  ]
  const { stderr, stdout } = await promisify(execFile)("npm", args, { cwd: root, maxBuffer: 2 ** 24 })
  registry.close()
  const said = Schema.decodeUnknownSync(Said)(stdout)
  const { files } = "files" in said ? said : said["effect-multiserver"]
  return { files: new Set(files.map((file) => file.path)), stderr }
}

describe("the package", () => {
  let files: ReadonlySet<string> = new Set()
  let stderr = ""
  beforeAll(async () => {
    const published = await publish()
    files = published.files
    stderr = published.stderr
  })

  it("has the source, what is built of it, the manual, completions, the dashboard and alerts, the pages and the examples, and nothing else", () => {
    const kinds = [
      /^(LICENSE|README\.md|CHANGELOG\.md|CONTRIBUTING\.md|SECURITY\.md|package\.json)$/,
      /^src\/.*\.ts$/,
      /^dist\/.*\.(js|d\.ts)(\.map)?$/,
      /^dist\/cli\/LICENCES\.md$/,
      /^man\/multiserver(-\w+)?\.1$/,
      /^ops\/[\w.]+\.(yml|json)$/,
      /^completions\/\w+(\.bash|\.fish)?$/,
      /^docs\/.*\.(md|svg)$/,
      /^examples\/.*\.(ts|mjs|html|css|svg)$/
    ]
    assert.deepStrictEqual(
      [...files].filter((file) => !kinds.some((kind) => kind.test(file))),
      []
    )
    for (const kind of kinds) assert.isTrue([...files].some((file) => kind.test(file)))
  })

  it("has what the links of its pages lead to", () => {
    const folders = new Set([...files].map((file) => path.posix.dirname(file)))
    const dead = [...files]
      .filter((file) => file.endsWith(".md"))
      .flatMap((file) =>
        [...fs.readFileSync(path.join(root, file), "utf8").matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = ""]) => {
          if (/^(https?:|#)/.test(link)) return []
          const target = path.posix.join(path.posix.dirname(file), link.replace(/#.*$/, ""))
          return files.has(target) || folders.has(target) ? [] : [`${file}: ${link}`]
        })
      )
    assert.deepStrictEqual(dead, [])
  })

  it("would be taken by npm: npm publish --dry-run, against a registry that has nothing yet", () => {
    assert.include(stderr, "dry-run")
    assert.notMatch(stderr, /npm (warn publish|error)/)
  })
})
