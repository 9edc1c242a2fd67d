// The status bar: state in words, colour and icon, why, and the two buttons.

/** @import { Component } from "../view.js" */
import { find, setIcon, setOutsideText, setText } from "./dom.js";
import { isForWantOfRights, lookOf, nextTryOf, reasonOf } from "./status-text.js";

/**
 * @param {HTMLElement} root
 * @param {{connect: () => void, disconnect: () => void, openAccess: () => void}} actions
 * @returns {Component}
 */
export function mountStatus(root, actions) {
  const word = find(root, ".status-word");
  const reason = find(root, ".status-reason");
  const next = find(root, ".status-next");
  const icon = find(root, ".status-icon");
  /** @type {HTMLButtonElement} */
  const connect = find(root, "[data-act=connect]");
  /** @type {HTMLButtonElement} */
  const disconnect = find(root, "[data-act=disconnect]");
  const access = find(root, "[data-act=give-key]");
  access.addEventListener("click", actions.openAccess);
  connect.addEventListener("click", actions.connect);
  disconnect.addEventListener("click", actions.disconnect);
  let shownReason = "";
  // What sticks below the bar must know where that is: the bar grows with its text, and doesn't always stick.
  new ResizeObserver(tellHeight).observe(root);

  return {
    update(view) {
      const look = lookOf(view.stream);
      const { phase } = view.stream;
      if (root.dataset.look !== look) {
        root.dataset.look = look;
        tellHeight();
      }
      setIcon(icon, look);
      setText(word, view.words.phases[look]);
      setText(next, nextTryOf(view));
      setText(connect, phase === "waiting" ? view.words.retryNow : view.words.page.connect);
      access.hidden = !isForWantOfRights(view.stream.cause);
      const why = reasonOf(view);
      if (why !== shownReason) setOutsideText(reason, why); // may quote the hub
      shownReason = why;
      // Whoever pressed one button goes on with the other: a disabled one would drop the focus.
      const stopped = phase === "stopped";
      setEnabled(connect, stopped || phase === "waiting", disconnect);
      setEnabled(disconnect, !stopped, connect);
    },
  };

  function tellHeight() {
    const height = getComputedStyle(root).position === "sticky" ? root.offsetHeight : 0;
    document.documentElement.style.setProperty("--bar-height", `${height}px`);
  }
}

/** @param {HTMLButtonElement} button @param {boolean} enabled @param {HTMLButtonElement} other */
function setEnabled(button, enabled, other) {
  if (button.disabled === !enabled) return;
  const hadFocus = document.activeElement === button;
  button.disabled = !enabled;
  if (enabled || !hadFocus) return;
  other.disabled = false;
  other.focus();
}
