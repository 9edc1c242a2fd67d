// One event in full, in a dialog: all its fields, its data, and ways to take it along.

/** @import { Entry } from "../feed/entry.js" */
/** @import { View } from "../view.js" */
import { curlOf, jsonOf, recordOf } from "../feed/export.js";
import { fullTime, wholeNumber } from "../feed/formats.js";
import { badgeOf, toneOfEntry } from "../feed/tones.js";
import { copyText } from "./clipboard.js";
import { find, setOutsideText, setText } from "./dom.js";
import { entryText, notesOf } from "./row.js";

/**
 * @param {HTMLDialogElement} dialog
 * @param {string} notifyUrl the address that the `curl` command is made for
 * @returns {{open: (entry: Entry, view: View) => void, isOpen: () => boolean}}
 */
export function mountDetail(dialog, notifyUrl) {
  const copyCurl = find(dialog, "[data-act=copy-curl]");
  const said = find(dialog, ".detail-said");
  /** @type {Entry | null} */
  let entry = null;
  /** @type {View | null} */
  let view = null;

  find(dialog, "[data-act=copy-json]").addEventListener("click", () => copy(entry ? jsonOf(entry) : ""));
  copyCurl.addEventListener("click", () => copy(curl()));
  closeOnBackdrop(dialog);
  return { open, isOpen: () => dialog.open };

  /** @param {Entry} chosen @param {View} now */
  function open(chosen, now) {
    entry = chosen;
    view = now;
    dialog.dataset.tone = toneOfEntry(entry);
    setText(find(dialog, ".badge"), badgeOf(entry));
    setOutsideText(find(dialog, ".detail-message"), entryText(entry, view));
    find(dialog, ".detail-fields").replaceChildren(...fieldsOf(entry, view).flatMap(makeField));
    setOutsideText(find(dialog, ".detail-data"), JSON.stringify(dataOf(entry), null, 2));
    setText(said, "");
    copyCurl.hidden = entry.kind !== "event";
    dialog.showModal();
    dialog.scrollTop = 0;
  }

  function curl() {
    return entry?.kind === "event" ? curlOf(entry, notifyUrl) : "";
  }

  /** @param {string} text */
  async function copy(text) {
    const copied = await copyText(text, dialog);
    if (view) setText(said, copied ? view.words.copied : view.words.notCopied);
  }
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
    if (pressedBeside && isBeside(dialog, event)) dialog.close();
  });
}

/** @param {HTMLElement} dialog @param {MouseEvent} event */
function isBeside(dialog, { target, clientX, clientY }) {
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  return target === dialog && (clientX < left || clientX >= right || clientY < top || clientY >= bottom);
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
    [names.id, entry.id],
    [names.topic, entry.topic],
    [names.source, entry.source],
    [names.count, entry.count === null ? "" : wholeNumber(entry.count, language)],
    [names.published, fullTime(entry.time, language)],
    [names.arrived, fullTime(entry.at, language)],
    [names.client, entry.client === null ? "" : String(entry.client)],
  ];
  return fields.filter(([, value]) => value !== "");
}

/** @param {[string, string]} field */
function makeField([name, value]) {
  const term = document.createElement("dt");
  const description = document.createElement("dd");
  setText(term, name);
  setOutsideText(description, value);
  return [term, description];
}
