/**
 * The effects of a connection that are values. Each holds an object instead of a closure over it: that saves 64 bytes
 * each while a connection is open.
 */
import * as Effectable from "effect/Effectable"
import type { ConnectionError } from "../ConnectionError.ts"
import type { Account } from "../Link.ts"
import type { Reader } from "./reader.ts"
import type { Writer } from "./writer.ts"

export class Flush extends Effectable.Class<void, ConnectionError> {
  private readonly writer: Writer
  constructor(writer: Writer) {
    super()
    this.writer = writer
  }
  asEffect() {
    return this.writer.flush()
  }
}

export class End extends Effectable.Class<void, ConnectionError> {
  private readonly writer: Writer
  constructor(writer: Writer) {
    super()
    this.writer = writer
  }
  asEffect() {
    return this.writer.end()
  }
}

export class Closed extends Effectable.Class<Account> {
  private readonly reader: Reader
  constructor(reader: Reader) {
    super()
    this.reader = reader
  }
  asEffect() {
    return this.reader.closed()
  }
}
