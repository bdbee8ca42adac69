/**
 * npm run test:runtimes                what the package promises on each runtime, in about a minute and a half
 * npm run test:runtimes -- node20 bun  on these only
 *
 * Packs the package once. On each Node, npm installs it into an empty project and warns of nothing. On each runtime,
 * README's program runs, every stack sends an echo, and the command converses. What works
 * otherwise under Deno and Bun ends with the error that docs/compatibility.md names.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "test-runtimes-"))

const running = new Set<ChildProcess>()
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
  fs.rmSync(folder, { recursive: true, force: true })
})
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1))

// -----------------------------------------------------------------------------
// processes
// -----------------------------------------------------------------------------

interface Ended {
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
}

interface Started {
  readonly child: ChildProcess
  /** What has been said on stderr so far is looked at again whenever there is more. */
  readonly said: (pattern: RegExp) => Promise<string>
  readonly ended: Promise<Ended>
}

/** Bounds a process that hangs. */
const patienceMillis = 60_000

const start = (cwd: string, [program = "", ...args]: ReadonlyArray<string>, input?: string): Started => {
  // The runtime under test is the `node` of what it starts. npm's own variables are those of this run.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_(?!config_)/.test(name)))
  const PATH = `${path.dirname(program)}${path.delimiter}${process.env.PATH}`
  const child = spawn(program, args, { cwd, env: { ...env, PATH, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" } })
  running.add(child)
  const timer = setTimeout(() => child.kill("SIGKILL"), patienceMillis)
  let stdout = ""
  let stderr = ""
  child.stdout.on("data", (text) => {
    stdout += text
  })
  child.stderr.on("data", (text) => {
    stderr += text
  })
  child.stdin.on("error", () => {}).end(input)
  const ended = new Promise<Ended>((resolve) => {
    child.once("error", (error) => resolve({ code: String(error), stdout, stderr }))
    child.once("close", (code, signal) => {
      clearTimeout(timer)
      running.delete(child)
      resolve({ code: code ?? String(signal), stdout, stderr })
    })
  })
  const said = (pattern: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        const [, found] = pattern.exec(stderr) ?? []
        if (found !== undefined) resolve(found)
      }
      child.stderr.on("data", look)
      look()
      ended.then(({ stderr }) => reject(new Error(`it ended before it said ${pattern}: ${stderr}`)))
    })
  return { child, said, ended }
}

const run = (cwd: string, command: ReadonlyArray<string>, input?: string) => start(cwd, command, input).ended

/** Fails with what was said unless it ended with this code, and said this on stdout and stderr. */
const expect = async (what: string, ending: Promise<Ended>, expected: Partial<Record<keyof Ended, RegExp>>) => {
  const ended = await ending
  for (const [name, pattern] of Object.entries({ code: /^0$/, ...expected })) {
    if (!pattern.test(String(ended[name as keyof Ended]))) {
      throw new Error(`${what}: ${name} should be ${pattern}:\n${ended.code}\n${ended.stdout}${ended.stderr}`)
    }
  }
  return ended
}

// -----------------------------------------------------------------------------
// runtimes
// -----------------------------------------------------------------------------

interface Runtime {
  readonly name: string
  readonly binary: string
  /** A command line that runs a program. */
  readonly program: (...args: ReadonlyArray<string>) => ReadonlyArray<string>
  readonly isNode: boolean
}

const all = ["node20", "node22", "node24", "node26", "deno", "bun"]
const wanted = process.argv.length > 2 ? process.argv.slice(2) : all

const installed = async (): Promise<ReadonlyArray<Runtime>> => {
  const { stderr, stdout } = await run(root, ["bash", "scripts/install-runtimes.sh", ...wanted])
  process.stderr.write(stderr)
  return stdout
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [name = "", binary = ""] = line.split("\t")
      return {
        name,
        binary,
        program: (...args) => (name === "deno" ? [binary, "run", "--allow-all", ...args] : [binary, ...args]),
        isNode: name.startsWith("node")
      }
    })
}

/** npm's own program, so that it can be run by any Node. */
const npmProgram = process.env.npm_execpath ?? ""

const tarball = async (): Promise<string> => {
  await expect("npm pack", run(root, [process.execPath, npmProgram, "pack", "--pack-destination", folder]), {})
  return path.join(folder, fs.readdirSync(folder).find((file) => file.endsWith(".tgz")) ?? "")
}

// -----------------------------------------------------------------------------
// on one runtime
// -----------------------------------------------------------------------------

/** An empty project with nothing but the programs that are run there. */
const project = (name: string): string => {
  const own = path.join(folder, name)
  fs.mkdirSync(own)
  fs.writeFileSync(path.join(own, "package.json"), JSON.stringify({ private: true, type: "module" }))
  // It has no types, so it is JavaScript as well, for Nodes that read nothing else.
  fs.copyFileSync(path.join(root, "examples/hello.ts"), path.join(own, "hello.mjs"))
  for (const file of ["echo.mjs", "differences.mjs"]) {
    fs.copyFileSync(path.join(root, "test/runtimes", file), path.join(own, file))
  }
  for (const file of ["server.key", "server.crt", "client.key", "ca.crt"]) {
    fs.copyFileSync(path.join(root, "test/fixtures/tls", file), path.join(own, file))
    // Git keeps no modes, and a key that others can read is refused.
    fs.chmodSync(path.join(own, file), 0o600)
  }
  return own
}

const silent = /^(?![\s\S]*\bwarn)/i

const install = (own: string, node: string, ...packages: ReadonlyArray<string>) =>
  expect(`npm install ${packages}`, run(own, [node, npmProgram, "install", "--no-audit", "--no-fund", ...packages]), {
    stdout: silent,
    stderr: silent
  })

/** What Deno and Bun find in their projects. npm runs on Node. */
const others = async (packed: string): Promise<string> => {
  const own = project("others")
  await install(own, process.execPath, packed, "effect")
  return path.join(own, "node_modules")
}
let installedForOthers: Promise<string> | undefined
const forOthers = (packed: string): Promise<string> => {
  installedForOthers ??= others(packed)
  return installedForOthers
}

const main = "node_modules/effect-multiserver/dist/cli/main.js"

/** A key, an echo server, somebody who asks it, and an orderly end. */
const conversation = async (own: string, { program }: Runtime): Promise<void> => {
  const command = (...args: ReadonlyArray<string>) => program(main, ...args)
  await expect("keygen", run(own, command("keygen", "--output", "secret")), { stdout: /=\n$/ })
  const listening = ["listen", "net:127.0.0.1:0~shs", "--key-file", "secret", "--echo", "--json"]
  const listener = start(own, command(...listening))
  const address = await listener.said(/"listening","addresses":\["([^"]+)"/)
  await expect("connect", run(own, command("connect", address), "question"), { stdout: /^question$/ })
  listener.child.kill("SIGTERM")
  await expect("listen, at SIGTERM", listener.ended, {})
}

/** How the conversations of `differences.mjs` end. */
const endings = (name: string): Record<string, RegExp> => ({
  wss: name === "deno" ? /^ConnectionError Truncated/ : /^end$/,
  "a server of the application": name === "deno" ? /^ConnectionError Truncated/ : /^end$/,
  "a key of another certificate": /^ListenError NotListenable: .* can't be used/,
  makeCredentials:
    { deno: /^ConnectionError Truncated/, bun: /^ListenError .* can't replace the certificate/ }[name] ?? /^end$/
})

const outcomes = async (own: string, { program }: Runtime, script: string) => {
  const { stdout } = await expect(script, run(own, program(script)), {})
  return Object.entries<string>(JSON.parse(stdout))
}

const installs = async (own: string, binary: string, packed: string): Promise<void> => {
  await install(own, binary, packed, "effect")
  await install(own, binary, "--engine-strict")
}

const check = async (runtime: Runtime, packed: string): Promise<string> => {
  const { binary, isNode, name, program } = runtime
  const own = project(name)
  if (isNode) await installs(own, binary, packed)
  else fs.symlinkSync(await forOthers(packed), path.join(own, "node_modules"))
  await expect("README's program", run(own, program("hello.mjs")), { stdout: /^net:\S+~shs:\S+ says hello\n$/ })
  const echoes = await outcomes(own, runtime, "echo.mjs")
  for (const [stack, outcome] of echoes) if (outcome !== "echo") throw new Error(`${stack}: ${outcome}`)
  const expected = endings(name)
  for (const [what, ending] of await outcomes(own, runtime, "differences.mjs")) {
    if (expected[what]?.test(ending) !== true) throw new Error(`${what} should end with ${expected[what]}: ${ending}`)
  }
  await conversation(own, runtime)
  if (name === "bun") {
    const listening = ["listen", "wss://127.0.0.1:0", "--tls-key", "server.key", "--tls-cert", "server.crt"]
    const refused = { code: /^[1-9]/, stderr: /can't replace the certificate/ }
    await expect("the command over wss", run(own, program(main, ...listening)), refused)
  }
  return `${echoes.length} stacks, the command`
}

// -----------------------------------------------------------------------------
// on all of them
// -----------------------------------------------------------------------------

const began = performance.now()
const [runtimes, packed] = await Promise.all([installed(), tarball()])
const results: Array<Record<string, string>> = []
const waiting = [...runtimes]
/** Two at a time: npm waits for the network, and a smoke test for its sockets. */
const work = async (): Promise<void> => {
  for (let runtime = waiting.shift(); runtime !== undefined; runtime = waiting.shift()) {
    const { name, binary } = runtime
    const { stdout } = await run(root, [binary, "--version"])
    const outcome = await check(runtime, packed).then(
      (what) => ({ passed: "yes", what }),
      (error: Error) => ({ passed: "NO", what: error.message })
    )
    if (outcome.passed === "NO") console.error(`\n${name}: ${outcome.what}\n`)
    results.push({
      name,
      version: stdout.split("\n")[0] ?? "",
      passed: outcome.passed,
      what: outcome.what.split("\n")[0] ?? ""
    })
  }
}
await Promise.all([work(), work()])
for (const name of wanted.filter((name) => runtimes.every((runtime) => runtime.name !== name))) {
  results.push({ name, version: "", passed: "NO", what: "npm could not bring it" })
}
console.table(results)
console.log(`${Math.round((performance.now() - began) / 1000)} s`)
process.exitCode = results.every(({ passed }) => passed === "yes") ? 0 : 1
