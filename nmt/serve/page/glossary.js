/* ---- terms and their translations, of a pair of languages ---- */

import { make } from "../figures/elements.js";
import { say } from "../figures/language.js";
import { stored, store } from "./storage.js";
import { find } from "./texts.js";

const SUGGESTED = "suggested"; // the third text of a row, if it has one

export class Glossary {
  constructor(changed) {
    this.changed = changed;
    this.rows = stored("glossary", []).filter(row => Array.isArray(row) && row.every(text => typeof text === "string"));
    find("add-term").addEventListener("click", () => { this.rows.push(["", ""]); this.show(); find("terms").lastChild.querySelector("input").focus(); });
  }

  get complete() { return this.rows.filter(([term, translation]) => term.trim() && translation.trim()); }

  /* The terms as a request has them; undefined if there are none. */
  terms() {
    const target = (text, kind) => kind ? [text.trim(), SUGGESTED] : text.trim();
    return this.complete.length ? Object.fromEntries(this.complete.map(([term, text, kind]) => [term.trim(), target(text, kind)])) : undefined;
  }

  show() {
    find("terms").replaceChildren(...this.rows.map((row, at) => this.row(row, at)));
    this.count();
  }

  count() { find("term-count").textContent = this.complete.length || ""; }

  row(row, at) {
    const inputs = [say("Term"), say("Its translation")].map((label, side) => {
      const input = make("input", { "aria-label": label, placeholder: label, dir: "auto", spellcheck: false });
      input.value = row[side];
      input.addEventListener("input", () => { row[side] = input.value; this.keep(); });
      return input;
    });
    const suggested = make("input", { type: "checkbox" });
    suggested.checked = Boolean(row[2]);
    suggested.addEventListener("change", () => { row.splice(2, 1, ...suggested.checked ? [SUGGESTED] : []); this.keep(); });
    const remove = make("button", { class: "quiet", "aria-label": say("Remove the term") }, "×");
    remove.addEventListener("click", () => { this.rows.splice(at, 1); this.show(); this.keep(); find("add-term").focus(); });
    return make("div", { class: "term" }, inputs[0], make("span", { "aria-hidden": true }, "→"), inputs[1],
      make("label", {}, suggested, " ", say("Suggested")), remove);
  }

  keep() {
    store("glossary", this.rows);
    this.count();
    this.changed();
  }
}
