/** Why an address can't be listened on, or its listener can't run. `cause` is the system's error. */
import * as Schema from "effect/Schema"
import { Insecure, Unsupported } from "./DialError.ts"
import { Other } from "./OtherReason.ts"
import { oneLine } from "./printable.ts"
import { cause } from "./schema/cause.ts"

export { Other } from "./OtherReason.ts"

/**
 * Another listener has the address already.
 *
 * @category errors
 * @since 0.1.0
 */
export class AddressInUse extends Schema.TaggedError<AddressInUse>()("AddressInUse", { cause }) {
  override get message(): string {
    return "the address is already in use; use another one (over TCP, port 0 takes any that is free)"
  }
  get isRetryable(): boolean {
    return true
  }
}

/**
 * The host is not an address of this machine. `code` is the system's error code.
 *
 * @category errors
 * @since 0.1.0
 */
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

/**
 * The system doesn't permit it. `code` is the system's error code.
 *
 * @category errors
 * @since 0.1.0
 */
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

/**
 * The address is one to dial, or its transport can't listen.
 *
 * @category errors
 * @since 0.1.0
 */
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

/**
 * The reasons with which a transport's `listen` may fail.
 *
 * @category errors
 * @since 0.1.0
 */
export const BindReason = Schema.Union([AddressInUse, AddressNotAvailable, PermissionDenied, NotListenable, Other])
export type BindReason = typeof BindReason.Type

/**
 * The listener already runs a handler, which goes on.
 *
 * @category errors
 * @since 0.1.0
 */
export class AlreadyRunning extends Schema.TaggedError<AlreadyRunning>()("AlreadyRunning", {}) {
  override get message(): string {
    return "this listener already gives its connections to a handler; listen on another address for another handler"
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * The listener has stopped, or is about to: its scope was closed, or its handler was interrupted.
 *
 * @category errors
 * @since 0.1.0
 */
export class Stopped extends Schema.TaggedError<Stopped>()("Stopped", {}) {
  override get message(): string {
    return "this listener has stopped; listen again for a new one"
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * One address could not be bound, so none was. Or the listener could not run a handler: then `address` lists all of its
 * addresses.
 *
 * @category errors
 * @since 0.1.0
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
