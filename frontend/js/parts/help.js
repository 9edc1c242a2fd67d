// Help: the keys, what the numbers mean, and a switch for keys of one letter.

/** @import { Component } from "../view.js" */
import { find } from "./dom.js";
import { closeOnBackdrop } from "./detail.js";

/**
 * @param {HTMLDialogElement} dialog
 * @param {{keysOn: () => boolean, setKeysOn: (on: boolean) => void}} actions
 * @returns {Component & {open: () => void}}
 */
export function mountHelp(dialog, actions) {
  /** @type {HTMLInputElement} */
  const keys = find(dialog, "[name=keys]");
  keys.addEventListener("change", () => actions.setKeysOn(keys.checked));
  closeOnBackdrop(dialog);

  return {
    open: () => dialog.showModal(),
    update() {
      keys.checked = actions.keysOn();
    },
  };
}
