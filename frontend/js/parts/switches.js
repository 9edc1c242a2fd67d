// The two switches of the header: language, and dark or light.

/** @import { Component, View } from "../view.js" */
/** @import { Language } from "../words/languages.js" */
import { find, setIcon } from "./dom.js";

/** @type {View["theme"][]} */
export const THEMES = ["auto", "light", "dark"];

/**
 * @param {HTMLElement} root
 * @param {{chooseLanguage: (language: Language) => void, nextTheme: () => void}} actions
 * @returns {Component}
 */
export function mountSwitches(root, actions) {
  const theme = find(root, "[data-act=theme]");
  const languages = [...root.querySelectorAll("[data-language]")];
  theme.addEventListener("click", actions.nextTheme);
  for (const button of languages) {
    const language = /** @type {Language} */ (button.getAttribute("data-language"));
    button.addEventListener("click", () => actions.chooseLanguage(language));
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
