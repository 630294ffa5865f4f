/* ---- the texts of the interface: English, or those of a table ---- */

let translated = {};

/* Use the texts of a table, by the English ones; {} for English. */
export function useTexts(table) {
  translated = table;
}

/* A text of the interface, with its values in the place of their {names}. */
export function say(text, values = {}) {
  return phrase(text, values).join("");
}

/* The same as a list of strings and elements: a value is either, or a list of them. */
export function phrase(text, values = {}) {
  const parts = (translated[text] ?? text).split(/\{(\w+)\}/);
  return parts.flatMap((part, place) => place % 2 ? values[part] : [part]).filter(part => part !== "");
}
