// Event IDs, `<epoch>-<sequence>`: the sequence counts up inside an epoch, a new log has a new epoch.

/**
 * Whether an event was seen before. Resuming may deliver the last event once more;
 * it never goes back inside an epoch, so one remembered ID is enough.
 * @param {string} seen the ID of the last event taken, "" when there was none
 * @param {string} id the ID of the event at hand
 */
export function alreadySeen(seen, id) {
  if (seen === "") return false;
  if (seen === id) return true;
  const [epoch, sequence] = split(seen);
  const [otherEpoch, otherSequence] = split(id);
  return epoch === otherEpoch && otherSequence <= sequence;
}

/**
 * @param {string} id
 * @returns {[string, number]} an ID of another shape is an epoch of its own, and never compares
 */
function split(id) {
  const match = /^(.+)-(\d+)$/.exec(id);
  return match ? [match[1], Number(match[2])] : [id, Number.NaN];
}
