// Event IDs, `<epoch>-<sequence>`: the sequence counts up inside an epoch, a new log has a new epoch.
// An ID of any other shape is an epoch of its own, and is never compared.

/**
 * Whether an event was seen before. Resuming may deliver the last event once more;
 * it never goes back inside an epoch, so one remembered ID is enough.
 * @param {string} seen the ID of the last event taken, "" when there was none
 * @param {string} id the ID of the event at hand
 */
export function alreadySeen(seen, id) {
  return seen !== "" && (seen === id || distance(id, seen) >= 0);
}

/**
 * How many events of one log lie after `from` up to `to`.
 * @param {string} from @param {string} to
 * @returns {number} negative when `from` is the later one; NaN across logs, where nobody can know
 */
export function distance(from, to) {
  const [epoch, sequence] = split(from);
  const [otherEpoch, otherSequence] = split(to);
  return epoch === otherEpoch ? otherSequence - sequence : Number.NaN;
}

/** The cursor just before an event. @param {string} id @returns {string} `id` itself if it is of another shape */
export function before(id) {
  const [epoch, sequence] = split(id);
  return sequence > 0 ? `${epoch}-${sequence - 1}` : id;
}

/** Whether it has the shape of the hub's IDs. @param {string} id */
export function isHubs(id) {
  return !Number.isNaN(split(id)[1]);
}

/**
 * Whether `id` stands before `other`, in its log or as an ID of an earlier log.
 * @param {string} id @param {string} other "" stands before nothing and after nothing
 */
export function isOlder(id, other) {
  const difference = distance(id, other);
  return difference > 0 || (Number.isNaN(difference) && Number(split(id)[0]) < Number(split(other)[0]));
}

/**
 * @param {string} id
 * @returns {[string, number]}
 */
function split(id) {
  const match = /^(\d+)-(\d+)$/.exec(id);
  return match ? [match[1], Number(match[2])] : [id || "none", Number.NaN];
}
