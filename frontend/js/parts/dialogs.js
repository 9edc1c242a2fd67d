// What the dialogs have in common.

/** @import { Component, View } from "../view.js" */
import { find, setOutsideText, setText, translate } from "./dom.js";

/**
 * A dialog that is made when it is opened first: until then its content is a <template>.
 * @param {HTMLDialogElement} dialog
 * @param {(dialog: HTMLDialogElement) => Component & {open: () => void}} mount
 * @returns {Component & {open: () => void}}
 */
export function mountLater(dialog, mount) {
  /** @type {View | undefined} */
  let latest;
  /** @type {(Component & {open: () => void}) | undefined} */
  let mounted;

  return {
    open() {
      if (!mounted) {
        /** @type {HTMLTemplateElement} */
        const template = find(dialog, "template");
        dialog.append(template.content);
        template.remove();
        mounted = mount(dialog);
        if (latest) translate(dialog, latest.words);
      }
      if (latest) mounted.update(latest);
      mounted.open();
    },
    update(view) {
      latest = view;
      mounted?.update(view);
    },
  };
}

/** A click beside a dialog closes it. @param {HTMLDialogElement} dialog */
export function closeOnBackdrop(dialog) {
  for (const button of dialog.querySelectorAll("[data-act=close]")) {
    button.addEventListener("click", () => dialog.close());
  }
  let pressedBeside = false; // a selection may begin inside and end beside
  dialog.addEventListener("mousedown", (event) => {
    pressedBeside = isBeside(dialog, event);
  });
  dialog.addEventListener("click", (event) => {
    if (pressedBeside && dialog.matches(":modal") && isBeside(dialog, event)) dialog.close();
  });
}

/** @param {HTMLElement} dialog @param {MouseEvent} event */
function isBeside(dialog, { target, clientX, clientY }) {
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  return target === dialog && (clientX < left || clientX >= right || clientY < top || clientY >= bottom);
}

/** A name and its value in a list of descriptions. @param {[string, string]} field */
export function makeField([name, value]) {
  const term = document.createElement("dt");
  const description = document.createElement("dd");
  setText(term, name);
  setOutsideText(description, value);
  return [term, description];
}
