// Handing a text to the browser as a file.

/** Long enough for the browser to have begun the download. */
const RELEASE_MS = 10_000;

/** @param {string} text @param {string} name @param {string} type */
export function download(text, name, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), RELEASE_MS);
}

/** Names sort by their moment, and hold no character that a file system refuses. @param {number} now @param {string} ending */
export function fileName(now, ending) {
  const moment = new Date(now).toISOString().slice(0, 19).replaceAll(":", "-");
  return `tocsin-${moment}Z.${ending}`;
}
