/* ---- what stays in this browser ---- */

const PREFIX = "nmt.";

/* A value that was stored, if it is of the kind of `otherwise`. */
export function stored(name, otherwise) {
  const kind = value => Array.isArray(value) ? "array" : typeof value;
  try {
    const value = JSON.parse(localStorage.getItem(PREFIX + name));
    return kind(value) === kind(otherwise) ? value : otherwise;
  } catch {  /* storage that is forbidden, or was written by another */
    return otherwise;
  }
}

export function store(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch { /* full or forbidden: the page works without */ }
}

export function forget(name) {
  try {
    localStorage.removeItem(PREFIX + name);
  } catch { /* forbidden */ }
}
