#!/usr/bin/env node
/** The `multiserver` command: `docs/cli.md` describes it. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { run } from "./run.ts"

/** The command needs an optional peer dependency, which the library does not. */
const loaded = Effect.tryPromise({
  try: () => Promise.all([import("@effect/platform-node/NodeServices"), import("./program.ts")]),
  catch: (cause) => cause
})

const isMissing = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND"

run(
  Effect.matchEffect(loaded, {
    onSuccess: ([{ layer }, { program }]) => Effect.provide(program, layer),
    onFailure: (cause) =>
      isMissing(cause)
        ? Effect.as(
            Console.error("multiserver: the command needs one more package: npm install @effect/platform-node"),
            1
          )
        : Effect.die(cause)
  })
)
