// Data as a tree that folds. What is folded isn't made yet, so that large data costs what is looked at. A name or a
// place in a list is a button that copies the way to it. All of it is text, whatever it holds.

/** @import { Words } from "../words/fr.js" */
import { pathOf } from "../feed/paths.js";
import { visible } from "../feed/text.js";
import { setLinkedText, setOutsideText, span } from "./dom.js";

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
  const node = document.createElement("details");
  const summary = document.createElement("summary");
  const brackets = Array.isArray(value) ? "[]" : "{}";
  summary.append(...keyOf(keys, tree), span("size", `${brackets[0]}${entries.length}${brackets[1]}`));
  node.append(summary);
  const fill = () => grow(node, entries, keys, tree, depth, budget);
  if (depth < OPEN_DEPTH && budget.left > 0) {
    node.open = true;
    fill();
  } else node.addEventListener("toggle", fill, { once: true });
  return node;
}

/** Adds the next children, and a button for those behind them. @param {HTMLElement} node @param {readonly (readonly [string | number, unknown])[]} entries @param {Keys} keys @param {Tree} tree @param {number} depth @param {{left: number}} budget */
function grow(node, entries, keys, tree, depth, budget) {
  node.append(...entries.slice(0, MOST_CHILDREN).map(([key, value]) => nodeOf(value, [...keys, key], tree, depth + 1, budget)));
  const rest = entries.slice(MOST_CHILDREN);
  if (rest.length === 0) return;
  const more = document.createElement("button");
  more.type = "button";
  more.className = "more";
  more.textContent = tree.words.more(rest.length);
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
  const button = document.createElement("button");
  button.type = "button";
  button.className = "key";
  const path = pathOf(keys);
  setOutsideText(button, `${key}:`);
  button.title = visible(tree.words.copyPath(path));
  button.addEventListener("click", (event) => {
    event.preventDefault(); // it stands in a summary, which would fold
    tree.copy(path);
  });
  return [button, " "];
}
