/**
 * How often a port is looked at that calls back each time, with nothing to take, before the rest of the process has its
 * turn.
 */
export const maxFruitless = 100
