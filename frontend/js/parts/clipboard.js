// Putting text into the clipboard, also where the page has no Clipboard API: on plain http:// to a
// machine of the local network.

/**
 * @param {string} text
 * @param {HTMLElement} near an element that is not inert: inside of the dialog that is open
 * @returns {Promise<boolean>} whether it worked
 */
export async function copyText(text, near) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text, near); // absent, or not allowed
  }
}

/** @param {string} text @param {HTMLElement} near */
function copyBySelection(text, near) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const area = document.createElement("textarea");
  area.className = "unseen";
  area.value = text;
  near.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return copied;
}
