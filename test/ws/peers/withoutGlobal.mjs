/**
 * The plugin's client takes the global WebSocket where there is one, since Node 22, and that one drops whatever arrives
 * after its own close: a peer that half-closes loses its answer, whoever sends it. With `ws`, which it takes otherwise,
 * it loses nothing over ws~shs.
 */
delete globalThis.WebSocket
