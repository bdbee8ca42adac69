/**
 * The environment variables, in one table. The table in docs/configuration.md is written from it.
 *
 * Each variable is read by its full name, so that it works with Effect's default `ConfigProvider` and with a provider
 * that writes names in constant case. A variable that can't be read, is empty or is unknown is an error that names it.
 * Otherwise a misspelled `MULTISERVER_DIAL_DENY_PRIVATE` would allow what it should deny.
 */
export { check } from "./variables/check.ts"
export {
  invalid,
  readBoolean,
  readBy,
  readCount,
  readDuration,
  readPath,
  readTexts,
  unreadable
} from "./variables/read.ts"
export { type Command, forms, named, type Variable, variables } from "./variables/table.ts"
