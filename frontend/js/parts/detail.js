// One event in full, in a dialog: all its fields, its data, and ways to take it along. From here one goes on to the
// event before and behind it, and to those like it.

/** @import { Entry } from "../feed/entry.js" */
/** @import { View } from "../view.js" */
import { curlOf, draftOf, jsonOf, recordOf } from "../feed/export.js";
import { fullTime, wholeNumber } from "../feed/formats.js";
import { badgeOf, toneOfEntry } from "../feed/tones.js";
import { copyText } from "./clipboard.js";
import { closeOnBackdrop, makeField } from "./dialogs.js";
import { find, setLinkedText, setText } from "./dom.js";
import { entryText, notesOf } from "./row.js";
import { showTree } from "./tree.js";

/**
 * @typedef {object} DetailActions
 * @property {(entry: Entry, step: 1 | -1) => Entry | null} beside the entry on view behind (1) or before (-1) that one
 * @property {() => void} more asks for the past behind the last one
 * @property {(field: "type" | "topic", name: string) => void} only filters for it
 * @property {(id: string) => string} addressOf where the page opens with that event
 * @property {() => boolean} keysOn whether letters are keys
 * @property {(id: string) => void} shown tells which event is shown, "" for none
 */

/**
 * @param {HTMLDialogElement} dialog
 * @param {string} notifyUrl the address that the `curl` command is made for
 * @param {DetailActions} actions
 * @returns {{open: (entry: Entry, view: View) => void, isOpen: () => boolean}}
 */
export function mountDetail(dialog, notifyUrl, actions) {
  const said = find(dialog, ".detail-said");
  /** @type {HTMLButtonElement} */
  const newer = find(dialog, "[data-act=newer]");
  /** @type {HTMLButtonElement} */
  const older = find(dialog, "[data-act=older]");
  /** @type {Entry | null} */
  let entry = null;
  /** @type {View | null} */
  let view = null;

  find(dialog, "[data-act=copy-json]").addEventListener("click", () => copy(entry ? jsonOf(entry) : ""));
  find(dialog, "[data-act=copy-curl]").addEventListener("click", () => copy(curl()));
  find(dialog, "[data-act=copy-address]").addEventListener("click", () => copy(actions.addressOf(idOf(entry))));
  newer.addEventListener("click", () => step(-1));
  older.addEventListener("click", () => step(1));
  dialog.addEventListener("keydown", (event) => {
    const by = { j: 1, k: -1 }[event.key.toLowerCase()];
    if (by && actions.keysOn() && !event.ctrlKey && !event.altKey && !event.metaKey) step(/** @type {1 | -1} */ (by));
  });
  dialog.addEventListener("close", () => actions.shown(""));
  closeOnBackdrop(dialog);
  return { open, isOpen: () => dialog.open };

  /** @param {Entry} chosen @param {View} now */
  function open(chosen, now) {
    entry = chosen;
    view = now;
    paint(entry, view);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    actions.shown(idOf(entry));
  }

  /** @param {Entry} entry @param {View} view */
  function paint(entry, view) {
    const isEvent = entry.kind === "event";
    dialog.dataset.tone = toneOfEntry(entry);
    setText(find(dialog, ".badge"), badgeOf(entry));
    setLinkedText(find(dialog, ".detail-message"), entryText(entry, view));
    find(dialog, ".detail-fields").replaceChildren(...fieldsOf(entry, view).flatMap(makeField), ...onlyThese(entry, view));
    showTree(find(dialog, ".tree"), dataOf(entry), { words: view.words, copy: (path) => copy(path, view.words.pathCopied(path)) });
    setText(said, "");
    for (const name of ["curl", "address"]) find(dialog, `[data-act=copy-${name}]`).hidden = !isEvent;
    setEnabled(newer, actions.beside(entry, -1) !== null);
    setEnabled(older, actions.beside(entry, 1) !== null);
  }

  /** @param {1 | -1} by */
  function step(by) {
    const next = entry && actions.beside(entry, by);
    if (next && view) open(next, view);
    else if (by > 0) actions.more();
  }

  function curl() {
    const draft = entry && draftOf(entry);
    return draft ? curlOf(draft, notifyUrl) : "";
  }

  /** @param {string} text @param {string} [note] */
  async function copy(text, note) {
    const copied = await copyText(text, dialog);
    if (view) setText(said, copied ? (note ?? view.words.copied) : view.words.notCopied);
  }

  /** Two buttons that filter. @param {Entry} entry @param {View} view */
  function onlyThese(entry, { words }) {
    if (entry.kind !== "event") return [];
    const cell = document.createElement("dd");
    cell.className = "only";
    for (const [field, text] of /** @type {const} */ ([["type", words.onlyType], ["topic", words.onlyTopic]])) {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.only = field;
      button.textContent = text;
      button.addEventListener("click", () => {
        dialog.close();
        actions.only(field, entry[field]);
      });
      cell.append(button);
    }
    return [cell];
  }
}

/** A button that is pressed when it becomes useless keeps the focus: it is not disabled. @param {HTMLButtonElement} button @param {boolean} enabled */
function setEnabled(button, enabled) {
  button.setAttribute("aria-disabled", String(!enabled));
}

/** @param {Entry | null} entry */
function idOf(entry) {
  return entry?.kind === "event" ? entry.id : "";
}

/** @param {Entry} entry */
function dataOf(entry) {
  const record = recordOf(entry);
  return entry.kind === "event" ? (record.data ?? {}) : record;
}

/** Names and values, as far as they exist. @param {Entry} entry @param {View} view @returns {[string, string][]} */
function fieldsOf(entry, view) {
  const { words, language } = view;
  const names = words.fields;
  if (entry.kind !== "event") {
    const notes = notesOf(entry, view).join(" ");
    return [...(notes ? [[names.why, notes]] : []), [names.told, fullTime(entry.time, language)]].map(([a, b]) => [a, b]);
  }
  /** @type {[string, string][]} */
  const fields = [
    [names.severity, entry.severity],
    [names.topic, entry.topic],
    [names.published, fullTime(entry.time, language)],
    [names.arrived, entry.live ? fullTime(entry.at, language) : words.cameLater],
    [names.source, entry.source],
    [names.count, entry.count === null ? "" : wholeNumber(entry.count, language)],
    [names.client, entry.client === null ? "" : String(entry.client)],
    [names.id, entry.id],
  ];
  return fields.filter(([, value]) => value !== "");
}
