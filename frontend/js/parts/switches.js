// Switches: language, dark or light, and how dense the rows are.

/** @import { Component, View } from "../view.js" */
/** @import { Language } from "../words/languages.js" */
import { find, setIcon } from "./dom.js";

/** @type {View["theme"][]} */
export const THEMES = ["auto", "light", "dark"];

/** Where the bar has no room for the preferences, they are in the menu. */
const NARROW = matchMedia("(width < 60rem)");

/**
 * @param {HTMLElement} root
 * @param {{chooseLanguage: (language: Language) => Promise<void>, nextTheme: () => void}} actions
 * @returns {Component}
 */
export function mountSwitches(root, actions) {
  const theme = find(root, "[data-act=theme]");
  const bar = /** @type {HTMLElement} */ (root.parentElement);
  const menu = find(bar, ".menu-preferences");
  const move = () => (NARROW.matches ? menu.append(root) : bar.prepend(root));
  NARROW.addEventListener("change", move);
  move();
  const languages = [...root.querySelectorAll("[data-language]")];
  theme.addEventListener("click", actions.nextTheme);
  for (const button of languages) {
    const language = /** @type {Language} */ (button.getAttribute("data-language"));
    button.addEventListener("click", () => void actions.chooseLanguage(language));
  }

  return {
    update(view) {
      for (const button of languages) {
        const on = button.getAttribute("data-language") === view.language;
        button.setAttribute("aria-pressed", String(on));
      }
      theme.setAttribute("aria-label", view.words.themes[view.theme]);
      theme.setAttribute("title", view.words.themes[view.theme]);
      setIcon(theme, `theme-${view.theme}`);
    },
  };
}

/** @param {View["theme"]} theme @returns {View["theme"]} */
export function themeAfter(theme) {
  return THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
}

/** @param {HTMLElement} button @param {() => void} toggle @returns {Component} */
export function mountDensity(button, toggle) {
  button.addEventListener("click", toggle);
  return {
    update({ density }) {
      document.documentElement.dataset.density = density;
      button.setAttribute("aria-pressed", String(density === "compact"));
    },
  };
}
