// Data as a tree that folds. What is folded isn't made yet, so that large data costs what is looked at. A name or a
// place in a list is a button that copies the way to it. All of it is text, whatever it holds.

/** @import { Words } from "../words/fr.js" */
import { pathOf } from "../feed/paths.js";
import { visible } from "../feed/text.js";
import { setLinkedText, setOutsideText } from "./dom.js";

/** @typedef {(string | number)[]} Keys */
/** @typedef {{words: Words, copy: (path: string) => void}} Tree */

/** Children that are shown at once, and how deep a tree is open at first. */
const MOST_CHILDREN = 100;
const OPEN_DEPTH = 3;
/** So many nodes are made at once; more of them begin folded. */
const MOST_OPEN = 60;

/**
 * @param {HTMLElement} root
 * @param {unknown} data
 * @param {Tree} tree
 */
export function showTree(root, data, tree) {
  const budget = { left: MOST_OPEN };
  root.replaceChildren(nodeOf(data, [], tree, 0, budget));
}

/** @param {unknown} value @param {Keys} keys @param {Tree} tree @param {number} depth @param {{left: number}} budget @returns {HTMLElement} */
function nodeOf(value, keys, tree, depth, budget) {
  budget.left -= 1;
  if (typeof value !== "object" || value === null) return leafOf(value, keys, tree);
  const entries = Array.isArray(value) ? value.map((each, i) => /** @type {const} */ ([i, each])) : Object.entries(value);
  if (entries.length === 0) return leafOf(value, keys, tree);
  const node = document.createElement("div");
  const children = document.createElement("div");
  children.className = "children";
  const brackets = Array.isArray(value) ? "[]" : "{}";
  // No summary: the name is a button too, and none may stand in another.
  const fold = makeButton("fold", `${brackets[0]}${entries.length}${brackets[1]}`);
  fold.addEventListener("click", () => setOpen(children.hidden));
  node.append(...keyOf(keys, tree), fold, children);
  setOpen(depth < OPEN_DEPTH && budget.left > 0);
  return node;

  /** @param {boolean} open */
  function setOpen(open) {
    if (open && !children.hasChildNodes()) grow(children, entries, keys, tree, depth, budget);
    children.hidden = !open;
    fold.setAttribute("aria-expanded", String(open));
  }
}

/** Adds the next children, and a button for those behind them. @param {HTMLElement} node @param {readonly (readonly [string | number, unknown])[]} entries @param {Keys} keys @param {Tree} tree @param {number} depth @param {{left: number}} budget */
function grow(node, entries, keys, tree, depth, budget) {
  node.append(...entries.slice(0, MOST_CHILDREN).map(([key, value]) => nodeOf(value, [...keys, key], tree, depth + 1, budget)));
  const rest = entries.slice(MOST_CHILDREN);
  if (rest.length === 0) return;
  const more = makeButton("more", tree.words.more(rest.length));
  more.addEventListener("click", () => {
    more.remove();
    grow(node, rest, keys, tree, depth, budget);
  });
  node.append(more);
}

/** @param {unknown} value @param {Keys} keys @param {Tree} tree */
function leafOf(value, keys, tree) {
  const leaf = document.createElement("div");
  const text = document.createElement("span");
  text.className = "text";
  text.dir = "auto";
  if (typeof value === "string") setLinkedText(text, JSON.stringify(value));
  else text.textContent = JSON.stringify(value);
  leaf.append(...keyOf(keys, tree), text);
  return leaf;
}

/** The name of a node, which copies its path. @param {Keys} keys @param {Tree} tree @returns {(string | HTMLElement)[]} */
function keyOf(keys, tree) {
  const key = keys.at(-1);
  if (key === undefined) return [];
  const path = pathOf(keys);
  const button = makeButton("key", "");
  setOutsideText(button, `${key}:`);
  button.title = visible(tree.words.copyPath(path));
  button.addEventListener("click", () => tree.copy(path));
  return [button, " "];
}

/** @param {string} name of its class @param {string} text */
function makeButton(name, text) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = name;
  button.textContent = text;
  return button;
}
