/* ---- what stays in this browser ---- */

const PREFIX = "nmt.";

export function stored(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name)) ?? otherwise;
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
