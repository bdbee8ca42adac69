/** Why an address can't be listened on, or its listener can't run. `cause` is the system's error. */
import * as Schema from "effect/Schema"
import { Insecure, Unsupported } from "./DialError.ts"
import { oneLine } from "./printable.ts"
import { cause } from "./schema/cause.ts"

/** Somebody listens there already. */
export class AddressInUse extends Schema.TaggedError<AddressInUse>()("AddressInUse", { cause }) {
  override get message(): string {
    return "somebody listens there already; take another one, or port 0 for any that is free"
  }
  get isRetryable(): boolean {
    return true
  }
}

/** The host is none of this machine's. `code` is the system's word. */
export class AddressNotAvailable extends Schema.TaggedError<AddressNotAvailable>()("AddressNotAvailable", {
  code: Schema.String,
  cause
}) {
  override get message(): string {
    return `not an address of this machine (${this.code})`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** The system doesn't allow it. `code` is its word. */
export class PermissionDenied extends Schema.TaggedError<PermissionDenied>()("PermissionDenied", {
  code: Schema.String,
  cause
}) {
  override get message(): string {
    return `not permitted (${this.code}); ports below 1024 need a privilege`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** The address is one to dial, or its transport can't listen. */
export class NotListenable extends Schema.TaggedError<NotListenable>()("NotListenable", {
  detail: Schema.String,
  cause
}) {
  override get message(): string {
    return `not an address to listen on: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** A reason of a transport's own: what it listens on is no socket of this machine, and could not be had. */
export class BindFailed extends Schema.TaggedError<BindFailed>()("BindFailed", {
  detail: Schema.String,
  isRetryable: Schema.Boolean,
  cause
}) {
  override get message(): string {
    return this.detail
  }
}

/** What a transport's listen fails with. */
export const BindReason = Schema.Union([AddressInUse, AddressNotAvailable, PermissionDenied, NotListenable, BindFailed])
export type BindReason = typeof BindReason.Type

/** The listener runs a handler already. That one goes on. */
export class AlreadyRunning extends Schema.TaggedError<AlreadyRunning>()("AlreadyRunning", {}) {
  override get message(): string {
    return "this listener already gives its connections to a handler; listen on another address for another handler"
  }
  get isRetryable(): boolean {
    return false
  }
}

/** The listener has stopped, or is about to: its scope was closed, or its handler was interrupted. */
export class Stopped extends Schema.TaggedError<Stopped>()("Stopped", {}) {
  override get message(): string {
    return "this listener has stopped; listen again for a new one"
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * An address could not be listened on, and none of those that were asked for with it is. Or a listener could not run a
 * handler; then `address` is all of its addresses.
 */
export class ListenError extends Schema.TaggedError<ListenError>("effect-multiserver/ListenError")("ListenError", {
  address: Schema.String,
  reason: Schema.Union([...BindReason.members, Unsupported, Insecure, AlreadyRunning, Stopped])
}) {
  override get message(): string {
    return `listen on ${this.address}: ${oneLine(this.reason.message)}`
  }
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
}
