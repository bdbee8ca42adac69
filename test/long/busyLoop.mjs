/** Keeps a core busy for as long as the process lives that started it. */
const parent = process.ppid
while (process.ppid === parent) {
  for (const until = performance.now() + 100; performance.now() < until; );
}
