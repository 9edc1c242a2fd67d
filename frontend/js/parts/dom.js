// The few ways in which this page touches the document. Nothing here takes markup: text is text.

/** @import { Words } from "../words/fr.js" */
import { linkParts } from "../feed/links.js";
import { isPlain, segments } from "../feed/text.js";

/** Texts are set apart from their escapes so many times; see `segments`. */
const MOST_MARKS = 80;

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
  if (isPlain(text)) element.textContent = text;
  else element.replaceChildren(...marked(text, mostMarks));
}

/** The same, with links where it holds addresses. @param {Element} element @param {string} text */
export function setLinkedText(element, text) {
  element.replaceChildren(
    ...linkParts(text).flatMap((part) => (part.href ? linkOf(part.text, part.href) : marked(part.text, MOST_MARKS))),
  );
}

/** @param {string} text @param {number} mostMarks @returns {(string | HTMLElement)[]} */
function marked(text, mostMarks) {
  return segments(text, mostMarks).map((part) => (part.hidden ? span("escape", part.text) : part.text));
}

/**
 * A link that says where it leads: what was written, and the real address behind it where that reads otherwise.
 * @param {string} text
 * @param {string} href of http or https
 */
function linkOf(text, href) {
  const link = document.createElement("a");
  link.href = href;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  link.title = href;
  link.append(...marked(text, MOST_MARKS));
  return href === text || href === `${text}/` ? [link] : [link, span("size", ` (${href})`)];
}

/** @param {string} name of its class @param {string} text */
export function span(name, text) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
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
