// Names to choose from below a text field (the ARIA combobox pattern): all of them when it is entered, those that
// fit while somebody types, and any other text all the same. Of a list separated by commas the last name is completed.

import { setOutsideText } from "./dom.js";

const MOST_SHOWN = 12;
let made = 0;

/**
 * @param {HTMLInputElement} input
 * @param {() => Iterable<string>} names
 * @param {boolean} [several] whether the field holds a list
 */
export function mountCombobox(input, names, several = false) {
  made += 1;
  const list = document.createElement("ul");
  list.className = "choices";
  list.id = `choices-${made}`;
  list.setAttribute("role", "listbox");
  list.hidden = true;
  /** @type {string[]} */
  let shown = [];
  let at = -1;
  let typed = false;
  for (const [name, value] of Object.entries({ role: "combobox", "aria-controls": list.id, "aria-autocomplete": "list", "aria-expanded": "false", autocomplete: "off", autocapitalize: "off" })) {
    input.setAttribute(name, value);
  }
  input.addEventListener("focus", () => input.matches(":focus-visible") && (typed = false));
  input.addEventListener("click", () => open(false));
  input.addEventListener("input", (event) => event.isTrusted && open(true));
  input.addEventListener("blur", close);
  input.addEventListener("keydown", takeKey);
  // Before the field loses the focus to it.
  list.addEventListener("pointerdown", (event) => event.preventDefault());
  list.addEventListener("click", ({ target }) => {
    const place = [...list.children].findIndex((each) => each.contains(/** @type {Node} */ (target)));
    if (place >= 0) choose(shown[place]);
  });

  /** @param {boolean} isTyped */
  function open(isTyped) {
    typed = isTyped;
    const start = isTyped ? lastOf(input.value).trim().toLowerCase() : "";
    const fitting = [...names()].filter((name) => name !== "" && name.toLowerCase().includes(start));
    shown = fitting.slice(0, MOST_SHOWN);
    at = -1;
    if (shown.length === 0 || (shown.length === 1 && shown[0] === input.value)) return close();
    list.replaceChildren(...shown.map(optionOf));
    if (!list.isConnected) input.after(list);
    list.hidden = false;
    place();
    mark();
  }

  function close() {
    list.hidden = true;
    at = -1;
    mark();
  }

  /** Below the field, whatever its parent is. */
  function place() {
    const parent = /** @type {HTMLElement} */ (input.offsetParent ?? document.body);
    const outer = parent.getBoundingClientRect();
    const bounds = input.getBoundingClientRect();
    list.style.left = `${bounds.left - outer.left - parent.clientLeft + parent.scrollLeft}px`;
    list.style.top = `${bounds.bottom - outer.top - parent.clientTop + parent.scrollTop + 2}px`;
    list.style.minWidth = `${bounds.width}px`;
    list.style.maxWidth = `${Math.max(bounds.width, innerWidth - bounds.left - 12)}px`;
  }

  /** @param {string} name @param {number} i */
  function optionOf(name, i) {
    const option = document.createElement("li");
    option.id = `${list.id}-${i}`;
    option.setAttribute("role", "option");
    setOutsideText(option, name);
    return option;
  }

  function mark() {
    [...list.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === at)));
    input.setAttribute("aria-expanded", String(!list.hidden));
    if (at >= 0) {
      input.setAttribute("aria-activedescendant", `${list.id}-${at}`);
      list.children[at].scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  }

  /** @param {KeyboardEvent} event */
  function takeKey(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (list.hidden) open(typed && input.value !== "");
      if (list.hidden) return;
      const step = event.key === "ArrowDown" ? 1 : -1;
      at = at < 0 && step < 0 ? shown.length - 1 : (at + step + shown.length) % shown.length;
      mark();
    } else if (event.key === "Enter" && at >= 0 && !event.ctrlKey) choose(shown[at]);
    else if (event.key === "Escape" && !list.hidden) close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {string} name */
  function choose(name) {
    const before = several && input.value.includes(",") ? input.value.slice(0, input.value.lastIndexOf(",") + 1) : "";
    input.value = before ? `${before} ${name}` : name;
    close();
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  /** @param {string} text */
  function lastOf(text) {
    return several ? text.slice(text.lastIndexOf(",") + 1) : text;
  }
}
