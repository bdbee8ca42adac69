/** What CONTRIBUTING.md says of the layout of the source. That there is no import cycle, `npm run check` says. */
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"

const root = fileURLToPath(new URL("../src", import.meta.url))

const files = fs
  .readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))
  .map((file) => ({ file, text: fs.readFileSync(path.join(root, file), "utf8") }))

/** Leaves for several: what transports over Node's sockets or over messages, shs and noise, or everybody share. */
const shared = ["crypto", "handshake", "sockets", "messages", "schema", "xk"]

/** The folders that belong to one module, and who may import from them besides their siblings. */
const owners: Readonly<Record<string, ReadonlyArray<string>>> = {
  dial: ["Dialer.ts"],
  dialError: ["DialError.ts"],
  listen: ["Listener.ts"],
  connection: ["Connection.ts"],
  link: ["Link.ts"],
  codec: ["Codec.ts"],
  events: ["Events.ts"],
  metrics: ["Metrics.ts", "cli/telemetry.ts", "cli/status.ts"],
  policy: ["Policy.ts"],
  transport: ["Transport.ts"],
  gossip: ["Gossip.ts"],
  lifetime: ["Lifetime.ts"],
  lan: ["Lan.ts"],
  tracker: ["Tracker.ts"],
  variables: ["variables.ts"],
  workers: ["Workers.ts"]
}

/** What a file imports from within `src`. */
const importsOf = ({ file, text }: (typeof files)[number]): ReadonlyArray<string> =>
  [...text.matchAll(/from "(\.[^"]+)"/g)].map(([, target = ""]) =>
    path.relative(root, path.resolve(root, path.dirname(file), target))
  )

describe("the source", () => {
  it("has no file of more than 350 lines", () => {
    const long = files.filter(({ text }) => text.split("\n").length > 351).map(({ file }) => file)
    assert.deepStrictEqual(long, [])
  })

  it("has nothing mutable in a module but bounded pools", () => {
    const isMutable = (line: string): boolean =>
      /^(export )?let /.test(line) ||
      (/^(export )?const .*= (new (Map|Set|WeakMap|WeakSet)\b|\[\]$)/.test(line) && !/: Readonly/.test(line))
    const mutable = files.flatMap(({ file, text }) => (text.split("\n").some(isMutable) ? [file] : []))
    // A block of scratch memory, which is replaced when it is used up, and the stages that are used again.
    assert.deepStrictEqual(mutable.sort(), ["codec/stage.ts", "crypto/scratch.ts"])
  })

  it("exports the modules of its doors, one by one, and nothing else", () => {
    const modulesOf = (door: string) =>
      importsOf(files.find(({ file }) => file === door) ?? { file: door, text: "" })
        .map((target) => `./${target.replace(/\.ts$/, "")}`)
        .filter((name) => name !== "./index")
    const { exports } = JSON.parse(fs.readFileSync(path.join(root, "../package.json"), "utf8"))
    const doors = ["./package.json", ".", "./node", "./browser", "./cluster", "./hyperdht", "./rpc", "./testing"]
    const modules = ["index.ts", "node.ts", "browser.ts", "cluster.ts", "hyperdht.ts", "rpc.ts"].flatMap(modulesOf)
    assert.deepStrictEqual(Object.keys(exports).sort(), [...doors, ...modules].sort())
    // What needs Node is not for browsers and React Native.
    for (const name of ["./node", "./hyperdht", ...["node.ts", "hyperdht.ts"].flatMap(modulesOf)]) {
      assert.isNull(exports[name].browser, name)
      assert.isNull(exports[name]["react-native"], name)
    }
  })

  it("has no folder without an owner", () => {
    assert.isFalse(fs.existsSync(path.join(root, "internal")))
  })

  it.each(Object.entries(owners))("keeps %s/ for the module that it belongs to", (folder, allowed) => {
    const strangers = files
      .filter(({ file }) => !file.startsWith(`${folder}/`) && !allowed.includes(file))
      .filter((each) => importsOf(each).some((target) => target.startsWith(`${folder}/`)))
      .map(({ file }) => file)
    assert.deepStrictEqual(strangers, [])
  })

  it("has no leaf that imports who uses it", () => {
    const upward = files
      .filter(({ file }) => shared.some((folder) => file.startsWith(`${folder}/`)))
      .filter((each) =>
        importsOf(each).some((target) => /^(Multiserver|Dialer|Listener|NodeMultiserver|index|node)\.ts$/.test(target))
      )
      .map(({ file }) => file)
    assert.deepStrictEqual(upward, [])
  })

  it("names port/ in the list of sections and in a door, and nowhere else", () => {
    const users = files
      .filter(({ file }) => !file.startsWith("port/"))
      .filter((each) => importsOf(each).some((target) => target.startsWith("port/")))
      .map(({ file }) => file)
    assert.deepStrictEqual(users.sort(), ["address/sections.ts", "index.ts"])
  })

  it("imports hyperdht behind its door only", () => {
    const users = files.filter(({ text }) => /from "hyperdht[/"]/.test(text)).map(({ file }) => file)
    assert.deepStrictEqual(users, ["hyperdht/node.ts"])
    const importers = files
      .filter(({ file }) => !file.startsWith("hyperdht/"))
      .filter((each) => importsOf(each).some((target) => target.startsWith("hyperdht")))
    assert.deepStrictEqual(
      importers.map(({ file }) => file),
      ["hyperdht.ts"]
    )
  })

  it("has no protocol that imports another one", () => {
    const protocols = ["net", "ws", "unix", "onion", "memory", "port", "shs", "noise", "noisepq", "noauth", "deflate"]
    const between = files.flatMap((each) => {
      const [own = ""] = each.file.split("/")
      if (!protocols.includes(own)) return []
      return importsOf(each)
        .filter((target) => protocols.some((other) => other !== own && target.startsWith(`${other}/`)))
        .map((target) => `${each.file} imports ${target}`)
    })
    assert.deepStrictEqual(between, [])
  })
})
