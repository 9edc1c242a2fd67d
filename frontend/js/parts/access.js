// The dialog that takes a key or token, and says what it lets one do.

/** @import { Component, View } from "../view.js" */
/** @import { Rights } from "../access.js" */
/** @import { Words } from "../words/fr.js" */
import { isKey } from "../access.js";
import { closeOnBackdrop } from "./dialogs.js";
import { find, setOutsideText, setText } from "./dom.js";

/** Patterns that are named; a key may have a hundred. */
const MOST_SHOWN = 20;

/**
 * @param {HTMLDialogElement} dialog
 * @param {{hasKey: () => boolean, use: (key: string) => boolean}} actions `use("")` forgets the key; both begin the
 *   page anew, and are false where the browser can't keep it
 * @returns {Component & {open: () => void}}
 */
export function mountAccess(dialog, actions) {
  /** @type {HTMLFormElement} */
  const form = find(dialog, "form");
  /** @type {HTMLInputElement} */
  const input = find(dialog, "[name=key]");
  const forget = find(dialog, "[data-act=forget]");
  const error = find(dialog, ".form-error");
  const who = find(dialog, ".access-who");
  const rights = find(dialog, ".access-rights");
  /** @type {View | undefined} */
  let latest;
  let painted = "";

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const key = input.value.trim();
    if (!isKey(key)) return complain((words) => words.access.noKey);
    if (!actions.use(key)) complain((words) => words.access.notKept);
  });
  forget.addEventListener("click", () => actions.use("") || complain((words) => words.access.notKept));
  input.addEventListener("input", () => complain(null));
  dialog.addEventListener("close", () => {
    input.value = ""; // what was typed and not used doesn't stay
    complain(null);
  });
  closeOnBackdrop(dialog);

  return {
    open() {
      dialog.showModal();
      input.focus();
    },
    update(view) {
      latest = view;
      forget.hidden = !actions.hasKey();
      const lines = linesOf(view.rights, view.words);
      const text = lines.join("\n");
      if (text === painted) return;
      painted = text;
      setOutsideText(who, lines[0]);
      rights.replaceChildren(...lines.slice(1).map(lineOf));
    },
  };

  /** @param {((words: Words) => string) | null} what */
  function complain(what) {
    setText(error, what && latest ? what(latest.words) : "");
    input.setAttribute("aria-invalid", String(what !== null));
    if (what) input.focus();
  }
}

/** Who one is, and then what one may do and what not. @param {Rights | null} rights @param {Words} words */
function linesOf(rights, words) {
  const { access } = words;
  if (!rights) return [access.unknown];
  if (!rights.authentication) return [access.open];
  if (rights.refused) return [access.refused];
  const read = rights.subscribe.length > 0 ? access.mayRead(listOf(rights.subscribe, words)) : access.mayNotRead;
  const publish =
    rights.publish.length > 0 ? access.mayPublish(listOf(rights.publish, words)) : access.mayNotPublish;
  return [rights.principal ? access.known(rights.principal) : access.nobody, read, publish];
}

/** @param {string[]} patterns @param {Words} words */
function listOf(patterns, words) {
  if (patterns.includes("*")) return words.access.everything;
  const more = patterns.length - MOST_SHOWN;
  return patterns.slice(0, MOST_SHOWN).join(", ") + (more > 0 ? `, +${more}` : "");
}

/** @param {string} text */
function lineOf(text) {
  const line = document.createElement("li");
  setOutsideText(line, text);
  return line;
}
