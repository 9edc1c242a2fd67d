// The form that publishes: refuses an empty message, clears on success, says what went wrong.

/** @import { Component, View } from "../view.js" */
/** @import { Words } from "../words/fr.js" */
/** @import { Outcome } from "./publish.js" */
import { find, setOutsideText, setText } from "./dom.js";
import { allows } from "../access.js";
import { publish, refusalText } from "./publish.js";
import { TYPES, toneOf } from "../feed/tones.js";

/** @typedef {(words: Words) => string} Saying what to say, in whichever language is on */

const NOTHING = () => "";

/** What the form publishes on: the hub's own choice where none is named. */
const TOPIC = "default";

/**
 * @param {HTMLFormElement} form
 * @param {string} url
 * @param {Record<string, string>} headers that say who publishes
 * @returns {Component}
 */
export function mountForm(form, url, headers) {
  /** @type {HTMLSelectElement} */
  const type = find(form, "[name=type]");
  /** @type {HTMLTextAreaElement} */
  const message = find(form, "[name=message]");
  const error = find(form, ".form-error");
  const result = find(form, ".form-result");
  const denied = find(form, ".form-denied");
  /** @type {HTMLButtonElement} */
  const send = find(form, "[type=submit]");
  const badge = find(form, ".badge");
  const options = TYPES.map((name) => type.appendChild(new Option(name, name)));
  /** @type {Saying} */
  let problem = NOTHING;
  /** @type {Saying} */
  let success = NOTHING;
  /** @type {View | undefined} */
  let latest;
  let sending = false;

  const component = { update: paint };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void submit();
  });
  message.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  type.addEventListener("change", showType);
  message.addEventListener("input", () => say(NOTHING, NOTHING));
  showType();
  return component;

  /** The type as the stream will name it, in its colour. */
  function showType() {
    badge.dataset.tone = toneOf(type.value);
    setText(badge, type.value);
  }

  async function submit() {
    if (sending || send.disabled) return;
    if (message.value.trim() === "") {
      say((words) => words.errors.emptyMessage, NOTHING);
      return message.focus();
    }
    sending = true;
    form.setAttribute("aria-busy", "true");
    const outcome = await publish(url, { type: type.value, message: message.value }, headers);
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
    say((words) => refusalText(outcome.status, outcome.error, words), NOTHING);
    message.focus();
  }

  /** @param {Saying} nextProblem @param {Saying} nextSuccess */
  function say(nextProblem, nextSuccess) {
    problem = nextProblem;
    success = nextSuccess;
    if (latest) paint(latest);
  }

  /** @param {View} view */
  function paint(view) {
    const { words } = view;
    if (latest?.words !== words) {
      options.forEach((option, i) => (option.text = words.types[TYPES[i]]));
    }
    latest = view;
    const may = !view.rights || allows(view.rights.publish, TOPIC);
    send.disabled = !may;
    setText(denied, may ? "" : words.access.formDenied(TOPIC));
    setNote(error, problem(words));
    setNote(result, success(words));
    message.setAttribute("aria-invalid", String(problem !== NOTHING));
  }
}

/** @param {HTMLElement} element @param {string} text */
function setNote(element, text) {
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  setOutsideText(element, text); // may quote the hub
}
