/**
 * How many times in a row a port is looked at that has nothing to take, but calls back each time. Then the rest of the
 * process has its turn.
 */
export const maxFruitless = 100
