// The way to a place in an event's data, as JavaScript and jq write it. Pure.

/** @param {readonly (string | number)[]} keys */
export function pathOf(keys) {
  return keys.map(stepOf).join("");
}

/** @param {string | number} key */
function stepOf(key) {
  if (typeof key === "number") return `[${key}]`;
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}
