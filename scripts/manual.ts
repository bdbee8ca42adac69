/** The manual pages of the command, made of what its `--help` shows and of the table of variables. */
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import type * as HelpDoc from "effect/cli/HelpDoc"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import manifest from "../package.json" with { type: "json" }
import { builtIns, multiserver } from "../src/cli/commands.ts"
import { forms, type Variable, variables } from "../src/variables.ts"

const { version } = manifest

/** What `--help` shows of a command, as data. */
export const helpOf = (...path: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const shown: Array<HelpDoc.HelpDoc> = []
    const presenter = Layer.succeed(CliOutput.Presenter, {
      present: (event) => Effect.sync(() => void (event._tag === "Help" && shown.push(event.helpDoc)))
    })
    const run = Command.runWith(multiserver, { version })
    yield* Effect.provide(run([...path, "--help"]), Layer.merge(presenter, CliConfig.layer({ builtIns })))
    return yield* Effect.fromNullishOr(shown[0])
  })

// -----------------------------------------------------------------------------
// roff
// -----------------------------------------------------------------------------

/** Text as it is to be read: no character of it is an instruction to roff, and a hyphen can be copied. */
const literal = (text: string): string =>
  text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^(?=[.'])/gm, "\\&")

/** Prose, where only the hyphens of flags are to be copied. */
const prose = (text: string): string =>
  text
    .replaceAll("`", "")
    .replaceAll("\\", "\\e")
    .replace(/(?<![\w-])--?(?=\w)[\w-]*/g, literal)
    .replace(/^(?=[.'])/gm, "\\&")

const bold = (text: string): string => `\\fB${literal(text)}\\fR`
const italic = (text: string): string => `\\fI${literal(text)}\\fR`

const section = (title: string, ...lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length === 0 ? [] : [`.SH ${title}`, ...lines]

/** A term, and under it what it means. */
const item = (term: string, text: string): ReadonlyArray<string> => [".TP", term, prose(text)]

const ofFlag = ({ aliases, description, name, type }: HelpDoc.FlagDoc): ReadonlyArray<string> => {
  const names = [...aliases, `--${name}`].map(bold).join(", ")
  const value = type === "boolean" ? "" : ` ${italic(type)}`
  return item(
    names + value,
    Option.getOrElse(description, () => "")
  )
}

const ofVariable = ({ byDefault, form, name, what }: Variable): ReadonlyArray<string> =>
  item(bold(name), `${what}. It is ${forms[form]}. Default: ${byDefault}.`)

const ofExample = ({ command, description }: HelpDoc.ExampleDoc): ReadonlyArray<string> => [
  ".PP",
  ...(description === undefined ? [] : [prose(`${description}:`)]),
  ".PP",
  ".nf",
  `.RS 4`,
  literal(command),
  ".RE",
  ".fi"
]

/** Exit codes, each on a line of its own in a description. */
const code = /^ +(\d+) +(.*)$/

/** The paragraphs of a description, and the exit codes in it. */
const ofDescription = (description: string): ReadonlyArray<string> => {
  const [text = "", codes] = description.split(/\n+ *Exit codes:\n/)
  const paragraphs = text.split("\n\n").flatMap((each) => [".PP", prose(each.replace(/\n */g, " ").trim())])
  const items = codes?.split("\n").flatMap((line) => {
    const [, number, meaning] = code.exec(line) ?? []
    return number === undefined || meaning === undefined ? [] : item(bold(number), meaning)
  })
  return [...section("DESCRIPTION", ...paragraphs), ...section("EXIT STATUS", ...(items ?? []))]
}

/** One page. */
const page = (help: HelpDoc.HelpDoc, brief: string, others: ReadonlyArray<string>): string => {
  const { annotations: _, args = [], commandPath = [], description, examples = [], flags, globalFlags = [] } = help
  const name = commandPath.join("-")
  const own = Object.values(variables).filter(({ commands }: Variable) =>
    commands.some((command) => command === commandPath[1])
  )
  const subcommands = help.subcommands?.flatMap(({ commands }) => commands) ?? []
  const lines = [
    `.TH ${literal(name.toUpperCase())} 1 "" "effect\\-multiserver ${version}" "User Commands"`,
    ...section("NAME", `${literal(name)} \\- ${prose(brief)}`),
    ...section("SYNOPSIS", `${bold(commandPath.join(" "))}${literal(help.usage.slice(commandPath.join(" ").length))}`),
    ...ofDescription(description),
    ...section(
      "COMMANDS",
      ...subcommands.flatMap((each) => item(bold(each.name), each.shortDescription ?? each.description))
    ),
    ...section(
      "ARGUMENTS",
      ...args.flatMap((each) =>
        item(
          italic(each.name.toUpperCase()),
          Option.getOrElse(each.description, () => "")
        )
      )
    ),
    ...section("OPTIONS", ...flags.flatMap(ofFlag)),
    ...section("OPTIONS OF ALL COMMANDS", ...globalFlags.flatMap(ofFlag)),
    ...section("ENVIRONMENT", ...own.flatMap(ofVariable)),
    ...section("EXAMPLES", ...examples.flatMap(ofExample)),
    ...section("SEE ALSO", others.map((other) => `${bold(other)}(1)`).join(", "))
  ]
  return `${lines.join("\n")}\n`
}

/** All pages, by the names of their files. */
export const pages = Effect.gen(function* () {
  const root = yield* helpOf()
  const commands = root.subcommands?.flatMap((group) => group.commands) ?? []
  const names = commands.map(({ name }) => `multiserver-${name}`)
  const own = yield* Effect.forEach(commands, ({ description, name, shortDescription }) =>
    Effect.map(helpOf(name), (help) => {
      const brief = (shortDescription ?? description).replace(/\..*$/, "")
      return [`multiserver-${name}.1`, page(help, brief, ["multiserver"])] as const
    })
  )
  return new Map([["multiserver.1", page(root, "talk to peers over typed addresses", names)], ...own])
})
