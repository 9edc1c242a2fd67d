// What came while the tab was hidden: a count in its title and a mark on its icon.

/** @import { Words } from "../words/fr.js" */
import { find } from "./dom.js";

const NAME = "Tocsin";
const MOST = 999;

/** @returns {{count: (events: number) => void, update: (view: {words: Words, look: string}) => void}} */
export function mountUnseen() {
  /** @type {HTMLLinkElement} */
  const icon = find(document, "link[rel=icon]");
  const plain = icon.href;
  const marked = plain.replace(/favicon\.svg$/, "favicon-unseen.svg");
  let unseen = 0;
  let trouble = "";
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) unseen = 0;
    paint();
  });
  return { count, update };

  /** @param {number} events that have just come */
  function count(events) {
    if (!document.hidden || events === 0) return;
    unseen += events;
    paint();
  }

  /** Also called while the tab is hidden. @param {{words: Words, look: string}} view */
  function update({ words, look }) {
    const calm = look === "live" || look === "connecting" || look === "stopped";
    trouble = calm ? "" : words.phases[/** @type {keyof Words["phases"]} */ (look)];
    paint();
  }

  function paint() {
    const number = unseen > MOST ? `${MOST}+` : String(unseen);
    const title = [unseen > 0 ? `(${number})` : "", trouble && `${trouble} ·`, NAME].filter(Boolean).join(" ");
    if (document.title !== title) document.title = title;
    const address = unseen > 0 ? marked : plain;
    if (icon.href !== address) icon.href = address;
  }
}
