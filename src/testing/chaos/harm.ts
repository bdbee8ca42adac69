/** The harm that is done to a connection. */

/** What is done once to a connection. */
export interface Harm {
  /**
   * `flip`: one bit changes. `cut`: the direction ends there, as if its sender had ended it, and the rest is lost.
   * `reset`: both ends hear of a broken connection.
   */
  readonly what: "flip" | "cut" | "reset"
  /**
   * It is done at one of the first so many bytes of a direction, by the seed. A connection that carries fewer may go
   * unharmed.
   */
  readonly within: number
  /** The direction; by the seed where it isn't said. */
  readonly toward?: "dialer" | "listener"
}

/** A harm that was done. */
export interface Done {
  readonly what: Harm["what"]
  readonly toward: "dialer" | "listener"
  /** At which byte of the direction. */
  readonly at: number
}
