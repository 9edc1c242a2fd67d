// What the browser tells a page of its network and of itself.

/**
 * Listens until `signal` is aborted. Outside of pages there is less to hear, or nothing.
 * @param {object} on
 * @param {() => void} on.wake the network is back, or somebody looks at the page again
 * @param {() => void} on.offline
 * @param {() => void} on.save the page is hidden: it may be ended without another word
 * @param {() => void} on.leave the page is left; it may come back from the browser's cache
 * @param {() => void} on.back it did
 * @param {AbortSignal} signal
 */
export function listenToPage({ wake, offline, save, leave, back }, signal) {
  if (typeof addEventListener === "undefined") return;
  addEventListener("online", wake, { signal });
  addEventListener("offline", offline, { signal });
  if (typeof document === "undefined") return;
  addEventListener("pagehide", leave, { signal });
  addEventListener("pageshow", ({ persisted }) => persisted && back(), { signal });
  document.addEventListener("visibilitychange", () => (document.hidden ? save() : wake()), { signal });
}
