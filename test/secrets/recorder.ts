/** Left in each process of a test run by `hook.cjs`, with which it began. */
export const recorder: { readonly say: (kind: string, said: string | Uint8Array) => void } = Reflect.get(
  globalThis,
  Symbol.for("effect-multiserver/test/secrets")
)
