/** The little of npm's pull-stream that the tests use. */
declare module "pull-stream" {
  import type { Sink, Source } from "../../src/bridge/PullStream.ts"

  interface Duplex<A> {
    readonly source: Source<A>
    readonly sink: Sink<A>
  }
  interface Pull {
    <A>(source: Source<A> | Duplex<A>, sink: Sink<A> | Duplex<A>): void
    <A>(source: Source<A> | Duplex<A>, through: (source: Source<A>) => Source<A>, sink: Sink<A> | Duplex<A>): void
    readonly values: <A>(values: ReadonlyArray<A>) => Source<A>
    readonly error: (error: Error) => Source<never>
    readonly collect: <A>(done: (error: Error | null, values: Array<A>) => void) => Sink<A>
    readonly take: <A>(count: number) => (source: Source<A>) => Source<A>
    readonly through: <A>(
      onData: ((value: A) => void) | null,
      onEnd: (error: Error | null) => void
    ) => (source: Source<A>) => Source<A>
  }
  const pull: Pull
  export default pull
}
