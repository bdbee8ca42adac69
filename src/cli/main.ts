#!/usr/bin/env node
/** The `multiserver` command: `docs/cli.md` describes it. */
import { layer } from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import { program } from "./program.ts"
import { run } from "./run.ts"

run(Effect.provide(program, layer))
