// Knowing at once that another script of this browser is gone, however it went: it holds a lock as long
// as it lives, and whoever waits for that lock gets it then. Web Locks exist only where the page came
// over https or from localhost; elsewhere nothing happens here, and silence on the port must do.

/**
 * Holds a lock until this script ends.
 * @param {(name: string) => void} tell called with the lock's name once it is held, or with ""
 */
export function holdAlive(tell) {
  const locks = globalThis.navigator?.locks;
  if (!locks) return tell("");
  const name = `tocsin ${Date.now()} ${Math.random()}`;
  const forEver = () => {
    tell(name);
    return new Promise(() => {});
  };
  locks.request(name, forEver).catch(() => tell("")); // refused, as in a sandboxed frame
}

/**
 * @param {string} name of a lock that another script holds, or ""
 * @param {() => void} run called once, when that script is gone
 */
export function onceGone(name, run) {
  if (name) globalThis.navigator?.locks?.request(name, run).catch(() => {});
}
