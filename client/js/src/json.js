// Reading JSON that others wrote, without trusting its shape.

/**
 * Reads a JSON object.
 * @param {string} text
 * @returns {Record<string, unknown> | null} null when the text isn't one
 */
export function readObject(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** @param {unknown} value @returns {number | null} null for what is no finite number */
export function countOf(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
