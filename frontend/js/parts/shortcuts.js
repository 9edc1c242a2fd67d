// The page's keys. They are letters, so they are off while somebody types, and can be off altogether
// (WCAG 2.2, success criterion 2.1.4).

/**
 * @param {Record<string, () => void>} keys what each does, by `event.key`
 * @param {() => boolean} isOn
 */
export function mountShortcuts(keys, isOn) {
  document.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    const act = Object.hasOwn(keys, key) ? keys[key] : null;
    if (!act || !isOn() || event.defaultPrevented || (event.repeat && !isStep(key))) return;
    if (event.ctrlKey || event.altKey || event.metaKey || isBusy(event.target)) return;
    event.preventDefault();
    act();
  });
}

/** Only the steps repeat while a key is held down. @param {string} key */
function isStep(key) {
  return key === "j" || key === "k";
}

/** Whether a key means something else there. @param {EventTarget | null} target */
function isBusy(target) {
  const element = /** @type {Element} */ (target);
  return Boolean(element.closest("input, textarea, select, dialog"));
}
