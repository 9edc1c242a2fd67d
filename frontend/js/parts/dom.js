// The few ways in which this page touches the document. Nothing here takes markup: text is text.

/** @import { Words } from "../words/fr.js" */
import { isPlain, segments } from "../feed/text.js";

/** Texts are set apart from their escapes so many times; see `segments`. */
const MOST_MARKS = 100;

/**
 * The one element that a selector means; its absence is a bug in index.html.
 * @template {Element} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} selector
 * @returns {T}
 */
export function find(root, selector) {
  const found = root.querySelector(selector);
  if (!found) throw new Error(`nothing matches ${selector}`);
  return /** @type {T} */ (found);
}

/** A new copy of what a <template> holds. @param {string} id @returns {HTMLElement} */
export function stamp(id) {
  /** @type {HTMLTemplateElement} */
  const template = find(document, `template#${id}`);
  const copy = template.content.firstElementChild?.cloneNode(true);
  return /** @type {HTMLElement} */ (copy);
}

/** Writes only what changed, so that an update that changes nothing costs nothing. */
export function setText(/** @type {Element} */ element, /** @type {string} */ text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Writes only what changed. @param {Element} element @param {string} name @param {string} value */
export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * Shows outside text, its hidden characters as marked escapes.
 * @param {Element} element
 * @param {string} text
 * @param {number} [mostMarks] how many escapes get an element of their own
 */
export function setOutsideText(element, text, mostMarks = MOST_MARKS) {
  if (isPlain(text)) {
    element.textContent = text;
    return;
  }
  element.replaceChildren(
    ...segments(text, mostMarks).map((part) => {
      if (!part.hidden) return part.text;
      const mark = document.createElement("span");
      mark.className = "escape";
      mark.textContent = part.text;
      return mark;
    }),
  );
}

/** Points an <svg><use> at another of the page's drawn symbols. */
export function setIcon(/** @type {Element} */ svg, /** @type {string} */ name) {
  setAttribute(find(svg, "use"), "href", `#icon-${name}`);
}

/** Fills in the texts that `data-t…` attributes name. */
export function translate(/** @type {ParentNode} */ root, /** @type {Words} */ words) {
  const texts = /** @type {Record<string, string>} */ (words.page);
  for (const element of root.querySelectorAll("[data-t]")) {
    setText(element, texts[element.getAttribute("data-t") ?? ""]);
  }
  for (const name of ["aria-label", "placeholder", "title"]) {
    for (const element of root.querySelectorAll(`[data-t-${name}]`)) {
      element.setAttribute(name, texts[element.getAttribute(`data-t-${name}`) ?? ""]);
    }
  }
}
