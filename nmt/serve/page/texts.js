/* ---- texts and elements of the page ---- */

import { make } from "../figures/elements.js";
import { say } from "../figures/language.js";

export const find = id => document.getElementById(id);
const english = new WeakMap();

/* Write the texts of the document in the language of the page. */
export function sayAll() {
  for (const element of document.querySelectorAll("[data-say]")) {
    if (!english.has(element)) english.set(element, element.textContent);
    element.textContent = say(english.get(element));
  }
  for (const element of document.querySelectorAll("[data-say-label]")) element.setAttribute("aria-label", say(element.dataset.sayLabel));
  for (const element of document.querySelectorAll("[data-say-placeholder]")) element.placeholder = say(element.dataset.sayPlaceholder);
}

/* The name of a language by its code, in the language of the page. */
export function languageName(code) {
  if (!code) return say("unknown language");
  try {
    return new Intl.DisplayNames([document.documentElement.lang], { type: "language" }).of(code);
  } catch {
    return code;
  }
}

/* Offer [value, text] in a select. */
export function options(select, offered, chosen) {
  select.replaceChildren(...offered.map(([value, text]) => make("option", { value }, text)));
  select.value = chosen ?? offered[0]?.[0] ?? "";
  select.disabled = offered.length === 0;
}

/* A textarea that is as high as its text, which `changed(text)` is called with; its words can be coloured. */
export class Editor {
  constructor(element, changed) {
    [this.backdrop, this.area] = element.children;
    this.area.addEventListener("scroll", () => { this.backdrop.scrollTop = this.area.scrollTop; });
    this.area.addEventListener("input", () => { this.mark(); changed(this.area.value); });
  }

  set text(text) {
    if (this.area.value !== text) this.area.value = text;
    this.mark();
  }

  /* Colour [text, weight] parts of line number `at`. */
  mark(parts = [], at = -1) {
    const lines = this.area.value.split("\n").map((line, number) => number !== at ? [line] : parts.map(([text, weight]) => {
      if (!weight) return text;
      const mark = make("mark", {}, text);
      mark.style.setProperty("--weight", `${Math.round(100 * weight)}%`);
      return mark;
    }));
    this.backdrop.replaceChildren(...lines.flatMap(line => [...line, "\n"]), "\u200b");
  }
}
