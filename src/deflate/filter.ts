/**
 * A `node:zlib` stream, fed one piece after another and read piece by piece. It goes no further than its output is
 * taken.
 */
import type { Transform } from "node:stream"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** A stream of `node:zlib`. */
export type Zlib = Transform & {
  /** How much of the input was used. */
  readonly bytesWritten: number
}

/** `hungry`: all that it was fed is used, and all that came of it taken. `end`: it has ended, after `finish`. */
export type Next = Uint8Array | "hungry" | "end"

export class Filter {
  private readonly create: () => Zlib
  private stream: Zlib | undefined
  private busy = false
  private ended = false
  private failed: Error | undefined
  private fed = 0
  private waiting: (() => void) | undefined

  private constructor(create: () => Zlib) {
    this.create = create
  }

  /** The stream is made when it is first fed, and destroyed with the scope. */
  static make(create: () => Zlib): Effect.Effect<Filter, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => new Filter(create)),
      (filter) => Effect.sync(() => filter.stream?.destroy())
    )
  }

  private open(): Zlib {
    const stream = this.create()
    const wake = () => this.waiting?.()
    stream.on("readable", wake)
    stream.on("end", () => {
      this.ended = true
      wake()
    })
    stream.on("error", (error) => {
      this.failed = error
      wake()
    })
    this.stream = stream
    return stream
  }

  /** Only when it is hungry. The bytes are its own until it is again. */
  feed(bytes: Uint8Array): void {
    const stream = this.stream ?? this.open()
    this.busy = true
    this.fed += bytes.length
    stream.write(bytes, () => {
      this.busy = false
      this.waiting?.()
    })
  }

  /** Nothing more will be fed. Only when it is hungry. */
  finish(): void {
    const stream = this.stream ?? this.open()
    this.busy = true
    stream.end()
  }

  /** Whether its format has ended before its input did. Only when it is hungry, or at the end. */
  get hasLeftOver(): boolean {
    return this.stream !== undefined && this.stream.bytesWritten < this.fed
  }

  /** The next of what comes out: what has gathered, little more than the stream's high-water mark. */
  readonly next: Effect.Effect<Next, Error> = Effect.callback((resume) => {
    const attempt = () => {
      const outcome = this.poll()
      if (outcome === undefined) return
      this.waiting = undefined
      resume(outcome)
    }
    this.waiting = attempt
    attempt()
    return Effect.sync(() => {
      this.waiting = undefined
    })
  })

  private poll(): Effect.Effect<Next, Error> | undefined {
    const out: Uint8Array | null | undefined = this.stream?.read()
    if (out != null) return Effect.succeed(out)
    if (this.failed !== undefined) return Effect.fail(this.failed)
    if (this.ended) return Effect.succeed("end")
    return this.busy ? undefined : Effect.succeed("hungry")
  }
}
