/**
 * Computes what a library throws for: a bad point, key or length, or a wrong MAC. A peer can send all of these, so here
 * the exception becomes a value.
 */
export const orUndefined = <A>(compute: () => A): A | undefined => {
  try {
    return compute()
  } catch {
    return undefined
  }
}
