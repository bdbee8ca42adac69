#!/usr/bin/env node
/** The `multiserver` command: `docs/cli.md` describes it. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { tooOld } from "./floor.ts"
import { run } from "./run.ts"

/** The command needs an optional peer dependency, which the library does not. */
const loaded = Effect.tryPromise({
  try: () => Promise.all([import("@effect/platform-node/NodeServices"), import("./program.ts")]),
  catch: (cause) => cause
})

const isMissing = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND"

const refused = (message: string): Effect.Effect<number> => Effect.as(Console.error(message), 1)

const outdated = tooOld(process.versions.node)

run(
  outdated !== undefined
    ? refused(outdated)
    : Effect.matchEffect(loaded, {
        onSuccess: ([{ layer }, { program }]) => Effect.provide(program, layer),
        onFailure: (cause) =>
          isMissing(cause)
            ? refused("multiserver: the command needs one more package: npm install @effect/platform-node")
            : Effect.die(cause)
      })
)
