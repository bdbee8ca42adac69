/** A `node:zlib` stream that is fed and read piece by piece. It works only as long as its output is read. */
import type { Transform } from "node:stream"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/**
 * A stream of `node:zlib`.
 *
 * @category models
 * @since 0.1.0
 */
export type Zlib = Transform & {
  /** How many bytes of the input were used. */
  readonly bytesWritten: number
}

/**
 * A piece of output. `hungry`: all input is used and all output taken, so it can be fed. `end`: the stream has ended.
 */
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

  /** Feeds bytes. To be called only when it is hungry. It borrows the bytes until it is hungry again. */
  feed(bytes: Uint8Array): void {
    const stream = this.stream ?? this.open()
    this.busy = true
    this.fed += bytes.length
    stream.write(bytes, () => {
      this.busy = false
      this.waiting?.()
    })
  }

  /** Says that nothing more will be fed. To be called only when it is hungry. */
  finish(): void {
    const stream = this.stream ?? this.open()
    this.busy = true
    stream.end()
  }

  /** Whether the format's end came before the end of the input. To be asked only when it is hungry or has ended. */
  get hasLeftOver(): boolean {
    return this.stream !== undefined && this.stream.bytesWritten < this.fed
  }

  /**
   * Waits for what comes next. A piece is all output that has gathered: little more than the stream's high-water mark.
   */
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
