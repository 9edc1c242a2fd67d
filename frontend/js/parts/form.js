// The form that publishes: any type and topic, a message, and data if there is some. It refuses an empty message and
// data that is no JSON object, clears on success, and says what went wrong. Beside the feed it stands open; where
// there is no room, one button opens it over the page.

/** @import { Component, View } from "../view.js" */
/** @import { Words } from "../words/fr.js" */
/** @import { Draft, Outcome } from "./publish.js" */
import { allows } from "../access.js";
import { DEFAULT_TOPIC } from "../feed/entry.js";
import { curlOf } from "../feed/export.js";
import { unit } from "../feed/formats.js";
import { TYPES } from "../feed/tones.js";
import { readObject } from "../../client/v1/json.js";
import { copyText } from "./clipboard.js";
import { mountCombobox } from "./combobox.js";
import { closeOnBackdrop } from "./dialogs.js";
import { find, setOutsideText, setText } from "./dom.js";
import { publish, refusalText } from "./publish.js";

/** @typedef {(words: Words) => string} Saying what to say, in whichever language is on */

const NOTHING = () => "";
/** Wide enough for the form beside the feed. */
const WIDE = matchMedia("(width >= 60rem)");

/**
 * @param {HTMLDialogElement} dialog
 * @param {HTMLElement} opener the button that opens it where it isn't open
 * @param {string} url
 * @param {Record<string, string>} headers that say who publishes
 * @returns {Component}
 */
export function mountForm(dialog, opener, url, headers) {
  /** @type {HTMLFormElement} */
  const form = find(dialog, "form");
  /** @type {HTMLInputElement} */
  const type = find(form, "[name=type]");
  /** @type {HTMLInputElement} */
  const topic = find(form, "[name=topic]");
  /** @type {HTMLTextAreaElement} */
  const message = find(form, "[name=message]");
  /** @type {HTMLTextAreaElement} */
  const data = find(form, "[name=data]");
  const fields = { type, topic, message, data };
  const error = find(form, "#message-error");
  const dataError = find(form, "#data-error");
  const result = find(form, ".form-result");
  const denied = find(form, ".form-denied");
  const note = find(dialog, ".note");
  /** @type {HTMLButtonElement} */
  const send = find(form, "[type=submit]");
  /** @type {Saying} */
  let problem = NOTHING;
  /** @type {Saying} */
  let success = NOTHING;
  /** @type {HTMLElement | null} the field at fault */
  let wrong = null;
  /** @type {View | undefined} */
  let latest;
  let sending = false;

  mountCombobox(type, () => new Set([...TYPES, ...(latest?.feed.seen.type ?? [])]));
  mountCombobox(topic, () => new Set([DEFAULT_TOPIC, ...(latest?.feed.seen.topic ?? [])]));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void submit();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  form.addEventListener("input", () => say(NOTHING, NOTHING));
  find(form, "[data-act=form-curl]").addEventListener("click", copyCurl);
  opener.addEventListener("click", () => {
    dialog.showModal();
    message.focus();
  });
  WIDE.addEventListener("change", place);
  closeOnBackdrop(dialog);
  place();
  return { update: paint };

  /** Beside the feed it is open; elsewhere it is closed until it is asked for. */
  function place() {
    if (dialog.matches(":modal") || dialog.open !== WIDE.matches) dialog.close();
    dialog.toggleAttribute("open", WIDE.matches);
  }

  /** What the fields say; null while the data is no JSON object. @returns {Draft | null} */
  function draft() {
    const object = data.value.trim() === "" ? undefined : readObject(data.value);
    if (object === null) return null;
    return { type: type.value.trim() || TYPES[4], message: message.value, topic: topic.value.trim() || DEFAULT_TOPIC, data: object };
  }

  async function submit() {
    if (sending || send.disabled) return;
    const event = draft();
    if (message.value.trim() === "") return complain((words) => words.errors.emptyMessage, message);
    if (!event) return data.focus();
    sending = true;
    form.setAttribute("aria-busy", "true");
    const outcome = await publish(url, event, headers);
    sending = false;
    form.removeAttribute("aria-busy");
    finish(outcome);
  }

  /** @param {Outcome} outcome */
  function finish(outcome) {
    if (outcome.ok) {
      message.value = "";
      return say(NOTHING, (words) => words.sent(outcome.sentTo));
    }
    const field = fields[/** @type {keyof typeof fields} */ (outcome.field)] ?? message;
    complain((words) => refusalText(outcome.status, outcome.error, words), field);
  }

  async function copyCurl() {
    const event = draft();
    if (!event) return data.focus();
    const copied = await copyText(curlOf(event, url), form);
    say(NOTHING, (words) => (copied ? words.copied : words.notCopied));
  }

  /** @param {Saying} what @param {HTMLElement} field */
  function complain(what, field) {
    say(what, NOTHING, field);
    field.closest("details")?.setAttribute("open", "");
    field.focus();
  }

  /** @param {Saying} nextProblem @param {Saying} nextSuccess @param {HTMLElement | null} field */
  function say(nextProblem, nextSuccess, field = null) {
    problem = nextProblem;
    success = nextSuccess;
    wrong = field;
    if (latest) paint(latest);
  }

  /** @param {View} view */
  function paint(view) {
    const { words, rights, facts, language } = view;
    latest = view;
    const wanted = topic.value.trim() || DEFAULT_TOPIC;
    const may = !rights || allows(rights.publish, wanted);
    const badData = draft() === null;
    send.disabled = !may;
    setNote(denied, may ? "" : words.access.formDenied(wanted));
    setNote(error, problem(words));
    setNote(dataError, badData ? words.badJson : "");
    setNote(result, success(words));
    for (const field of Object.values(fields)) {
      field.setAttribute("aria-invalid", String(field === wrong || (field === data && badData)));
    }
    setText(note, facts && facts.simulate > 0 ? words.simulated(facts.simulate, unit(facts.simulate, "second", language)) : "");
  }
}

/** @param {HTMLElement} element @param {string} text */
function setNote(element, text) {
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  setOutsideText(element, text); // may quote the hub
}
