/** The harm that is done to a connection. */

/**
 * The harm that is done to each connection, once.
 *
 * @category options
 * @since 0.1.0
 */
export interface Harm {
  /**
   * `flip`: one bit changes. `cut`: the direction ends there, as if its sender had ended it, and the rest is lost.
   * `reset`: the connection breaks for both ends.
   */
  readonly what: "flip" | "cut" | "reset"
  /**
   * The harm is done at one of the first so many bytes of a direction, and the seed chooses which. A connection that
   * carries fewer bytes may go unharmed.
   */
  readonly within: number
  /** The end that the harmed direction leads to. By default the seed chooses. */
  readonly toward?: "dialer" | "listener"
}

/**
 * A harm that was done.
 *
 * @category models
 * @since 0.1.0
 */
export interface Done {
  readonly what: Harm["what"]
  readonly toward: "dialer" | "listener"
  /** The position in the direction's bytes, from 0. */
  readonly at: number
}
