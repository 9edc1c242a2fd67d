// The bar: the connection's state in words, colour and icon, why, and the buttons, the sensible one set off.

/** @import { Component } from "../view.js" */
import { find, setIcon, setOutsideText, setText } from "./dom.js";
import { isForWantOfRights, lookOf, nextTryOf, reasonOf } from "./status-text.js";

/** Where the bar has no room for buttons while all is well, they are in the menu. */
const NARROW = matchMedia("(width < 48rem)");

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
  const actionsBox = find(root, ".status-actions");
  const text = find(root, ".status-text");
  const menu = find(root, ".menu-connection");
  access.addEventListener("click", actions.openAccess);
  connect.addEventListener("click", actions.connect);
  disconnect.addEventListener("click", actions.disconnect);
  let shownReason = "";
  // What sticks below the bar must know where that is: the bar grows with its text.
  new ResizeObserver(tellHeight).observe(root);

  return {
    update(view) {
      const look = lookOf(view.stream);
      const { phase } = view.stream;
      root.dataset.look = look;
      place(NARROW.matches && (look === "live" || look === "connecting"));
      setIcon(icon, look);
      setText(word, view.words.phases[look]);
      setText(next, nextTryOf(view));
      const isTrying = phase === "waiting" || phase === "stalled";
      setText(connect, isTrying ? view.words.retryNow : view.words.connect);
      setText(disconnect, isTrying ? view.words.stop : view.words.disconnect);
      access.hidden = !isForWantOfRights(view.stream.cause);
      const why = reasonOf(view);
      if (why !== shownReason) setOutsideText(reason, why); // may quote the hub
      shownReason = why;
      // Whoever pressed one button goes on with the other: a disabled one would drop the focus.
      const stopped = phase === "stopped";
      setEnabled(connect, stopped || isTrying, disconnect);
      setEnabled(disconnect, !stopped, connect);
    },
  };

  /** @param {boolean} inMenu */
  function place(inMenu) {
    if (menu.contains(actionsBox) === inMenu) return;
    const hadFocus = actionsBox.contains(document.activeElement);
    if (inMenu) menu.append(actionsBox);
    else text.after(actionsBox);
    menu.closest("details")?.removeAttribute("open"); // what was pressed there is done
    if (hadFocus) find(root, inMenu ? ".menu > summary" : ".status-actions button:not(:disabled)").focus();
  }

  function tellHeight() {
    document.documentElement.style.setProperty("--bar-height", `${root.offsetHeight}px`);
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
