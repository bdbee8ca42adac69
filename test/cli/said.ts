/** What a run of the command says, as it comes: the same of a process and of the program within this one. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** An event of `--json`: what it is called, and whatever else it has. */
const Event = Schema.fromJsonString(
  Schema.Struct({
    event: Schema.String,
    time: Schema.optionalKey(Schema.String),
    id: Schema.optionalKey(Schema.Number),
    with: Schema.optionalKey(Schema.Number),
    worker: Schema.optionalKey(Schema.Number),
    pid: Schema.optionalKey(Schema.Number),
    signal: Schema.optionalKey(Schema.NullOr(Schema.String)),
    open: Schema.optionalKey(Schema.Number),
    restartMillis: Schema.optionalKey(Schema.Number),
    attempt: Schema.optionalKey(Schema.Number),
    millis: Schema.optionalKey(Schema.Number),
    role: Schema.optionalKey(Schema.String),
    from: Schema.optionalKey(Schema.String),
    address: Schema.optionalKey(Schema.String),
    addresses: Schema.optionalKey(Schema.Array(Schema.String)),
    peer: Schema.optionalKey(Schema.NullOr(Schema.String)),
    bytesRead: Schema.optionalKey(Schema.Number),
    bytesWritten: Schema.optionalKey(Schema.Number),
    url: Schema.optionalKey(Schema.String),
    tag: Schema.optionalKey(Schema.String),
    reason: Schema.optionalKey(Schema.String),
    message: Schema.optionalKey(Schema.String),
    attempts: Schema.optionalKey(
      Schema.Array(Schema.Struct({ address: Schema.String, reason: Schema.String, message: Schema.String }))
    )
  })
)
export type Event = typeof Event.Type
const decode = Schema.decodeUnknownResult(Event)

/** The events of a process that ran with `--json`: each line has to be one. */
export const eventsOf = (stderr: string): ReadonlyArray<Event> =>
  stderr
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => Result.getOrThrowWith(decode(line), () => new Error(`stderr has a line that is no event: ${line}`)))

export interface Ended {
  /** The exit code; or the name of the signal that killed it, or the defect that it died of. */
  readonly code: number | string
  readonly stdout: Buffer
  readonly stderr: string
}

export class Said {
  private readonly out: Array<Buffer> = []
  private err = ""
  private ended: Ended | undefined
  private readonly waiting = new Set<() => void>()

  /** On stdout. */
  protected wrote(chunk: Buffer): void {
    this.out.push(chunk)
    this.changed()
  }

  /** On stderr. */
  protected said(text: string): void {
    this.err += text
    this.changed()
  }

  protected over(code: number | string): void {
    this.ended = { code, stdout: Buffer.concat(this.out), stderr: this.err }
    this.changed()
  }

  private changed(): void {
    for (const check of this.waiting) check()
  }

  private until<A>(what: () => A | undefined): Effect.Effect<A> {
    return Effect.callback<A>((resume) => {
      const check = () => {
        const got = what()
        if (got === undefined) return
        this.waiting.delete(check)
        resume(Effect.succeed(got))
      }
      this.waiting.add(check)
      check()
      return Effect.sync(() => this.waiting.delete(check))
    })
  }

  /** Everything on stderr so far. */
  get text(): string {
    return this.err
  }

  /** Whole lines of stderr so far, as events. */
  events(): ReadonlyArray<Event> {
    return eventsOf(this.err.slice(0, this.err.lastIndexOf("\n") + 1))
  }

  /** The same; dies when the process ends without. */
  private untilEnded<A>(wanted: string, what: () => A | undefined): Effect.Effect<A> {
    return Effect.flatMap(
      this.until((): Result.Result<A, Ended> | undefined => {
        const got = what()
        if (got !== undefined) return Result.succeed(got)
        return this.ended && Result.fail(this.ended)
      }),
      Result.match({
        onSuccess: Effect.succeed,
        onFailure: ({ code, stderr, stdout }) =>
          Effect.die(new Error(`no ${wanted}, but ${code}\n${stdout}\n${stderr}`))
      })
    )
  }

  /** The first event of this kind. */
  event(name: string): Effect.Effect<Event> {
    return this.untilEnded(name, () => this.events().find(({ event }) => event === name))
  }

  /** The first lines of stderr, for a process that runs without `--json`. */
  lines(count: number): Effect.Effect<ReadonlyArray<string>> {
    return this.untilEnded(`${count} lines`, () => {
      const whole = this.err.split("\n").slice(0, -1)
      return whole.length >= count ? whole : undefined
    })
  }

  /** Everything on stderr, when this is in it. */
  saying(what: RegExp): Effect.Effect<string> {
    return this.untilEnded(String(what), () => (what.test(this.err) ? this.err : undefined))
  }

  /** The first so many events of this kind; waits for them. */
  all(name: string, count: number): Effect.Effect<ReadonlyArray<Event>> {
    return this.untilEnded(`${count} ${name}`, () => {
      const found = this.events().filter(({ event }) => event === name)
      return found.length >= count ? found : undefined
    })
  }

  /** The address that a listener says first. */
  get address(): Effect.Effect<string> {
    return Effect.map(this.event("listening"), ({ addresses }) => addresses?.[0] ?? "")
  }

  /** Waits until stdout has at least so many bytes. */
  received(bytes: number): Effect.Effect<Buffer> {
    return this.untilEnded(`${bytes} bytes`, () => {
      const all = Buffer.concat(this.out)
      return all.length >= bytes ? all : undefined
    })
  }

  /** Everything on stdout, when this is in it. */
  printed(what: RegExp): Effect.Effect<string> {
    return this.untilEnded(String(what), () => {
      const all = String(Buffer.concat(this.out))
      return what.test(all) ? all : undefined
    })
  }

  get exit(): Effect.Effect<Ended> {
    return this.until(() => this.ended)
  }
}
