/**
 * The variables of the environment, in one table: what is read comes from it, and so does docs/configuration.md.
 *
 * Each one is read by its full name, so that it works under Effect's default `ConfigProvider` as well as under one that
 * writes names in constant case. Reading fails closed. A variable that cannot be read, one that is empty, and one that
 * nobody knows are errors that name it: a misspelled `MULTISERVER_DIAL_DENY_PRIVATE` would allow what it was to deny.
 */
export { check } from "./variables/check.ts"
export { invalid, readBoolean, readBy, readCount, readDuration, unreadable } from "./variables/read.ts"
export { type Command, forms, named, type Variable, variables } from "./variables/table.ts"
