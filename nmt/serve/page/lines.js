/* ---- translations of lines, each asked for once ---- */

import { translate } from "./server.js";

const KEPT = 500, AT_ONCE = 50;  /* translations that are remembered; lines of a request */
const known = new Map();
const key = (model, line, prefix, glossary) => JSON.stringify([model, line, prefix, glossary]);

export const forgetTranslations = () => known.clear();

/* The translations of lines, and in how many milliseconds the server gave them, null if it was not asked.
   `prefixes` are by line number; `glossary` is an object of terms or undefined. */
export async function translateLines({ model, lines, prefixes = [], glossary }, signal) {
  const keys = lines.map((line, at) => key(model, line, prefixes[at] ?? "", glossary));
  const missing = new Map();
  lines.forEach((line, at) => { if (line.trim() && !known.has(keys[at])) missing.set(keys[at], [line, prefixes[at] ?? ""]); });
  const groups = new Map();  /* of lines with the same prefix: almost all have none */
  for (const [key, [line, prefix]] of missing) groups.set(prefix, [...groups.get(prefix) ?? [], [key, line]]);
  const found = new Map(), begun = performance.now();
  for (const [prefix, group] of groups) {
    for (let first = 0; first < group.length; first += AT_ONCE) {
      const some = group.slice(first, first + AT_ONCE);
      const answers = await translate({ model, lines: some.map(([, line]) => line), prefix, glossary }, signal);
      some.forEach(([key], at) => found.set(key, answers[at]));
    }
  }
  const results = lines.map((line, at) => !line.trim() ? { text: "", notes: [] } : found.get(keys[at]) ?? known.get(keys[at]));
  for (const [key, answer] of found) known.set(key, answer);
  for (const old of [...known.keys()].slice(0, Math.max(0, known.size - KEPT))) known.delete(old);
  return { results, milliseconds: found.size ? Math.round(performance.now() - begun) : null };
}
