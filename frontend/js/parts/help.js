// Help and about: what this hub is and where to read on, the keys, and a switch for keys of one letter.

/** @import { Component, View } from "../view.js" */
import { fullTime } from "../feed/formats.js";
import { closeOnBackdrop, makeField } from "./dialogs.js";
import { find } from "./dom.js";

/**
 * @param {HTMLDialogElement} dialog
 * @param {{keysOn: () => boolean, setKeysOn: (on: boolean) => void, links: Record<string, string>}} actions
 *   `links`: addresses by the name in `data-link`
 * @returns {Component & {open: () => void}}
 */
export function mountHelp(dialog, { keysOn, setKeysOn, links }) {
  /** @type {HTMLInputElement} */
  const keys = find(dialog, "[name=keys]");
  const about = find(dialog, ".about");
  let painted = "";
  keys.addEventListener("change", () => setKeysOn(keys.checked));
  for (const [name, href] of Object.entries(links)) {
    /** @type {HTMLAnchorElement} */ (find(dialog, `[data-link=${name}]`)).href = href;
  }
  closeOnBackdrop(dialog);

  return {
    open: () => dialog.showModal(),
    update(view) {
      keys.checked = keysOn();
      const fields = fieldsOf(view);
      const text = fields.flat().join("\n");
      if (text === painted) return;
      painted = text;
      about.replaceChildren(...fields.flatMap(makeField));
    },
  };
}

/** @param {View} view @returns {[string, string][]} */
function fieldsOf({ facts, rights, words, language }) {
  const { about, access } = words;
  /** @type {Record<string, string>} */
  const ways = words.keptBy;
  const you = !rights ? access.unknown : !rights.authentication ? access.open : rights.principal ? access.known(rights.principal) : access.nobody;
  /** @type {[string, string][]} */
  const fields = [
    [about.version, facts?.version ? `Tocsin ${facts.version}` : "–"],
    [about.up, facts && !Number.isNaN(facts.startedAt) ? fullTime(Math.round(facts.startedAt / 1_000) * 1_000, language, 0) : "–"],
    [about.node, facts?.node ?? ""],
    [about.keeps, facts?.journal ? (Object.hasOwn(ways, facts.journal) ? ways[facts.journal] : ways.other) : "–"],
    [about.you, you],
  ];
  return fields.filter(([, value]) => value !== "");
}
