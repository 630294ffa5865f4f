/* ---- what a word looked at, and what else it might have been ---- */

import { listen, make, percent } from "../figures/elements.js";
import { phrase, say } from "../figures/language.js";
import { Latest } from "./latest.js";
import { alternatives } from "./server.js";
import { find } from "./texts.js";

const MOST = 3;  /* parts of the source that are listed */
const LEAST = 0.0005, FEWEST = 4;  /* probability of an alternative, but for the first ones */

export class WordPanel {
  constructor(view) {
    this.view = view;
    this.element = find("word");
    this.latest = new Latest(0);
    this.used = false;
    document.addEventListener("keydown", event => {
      if (event.key === "Escape") this.close(true);
    });
    listen(this.element, rows => this.move(rows));
  }

  get isOpen() { return !this.element.hidden; }

  open(element, place, byKey) {
    this.close();
    Object.assign(this, { place, word: element, byKey, answer: null, problem: "", used: true });
    element.classList.add("here");
    element.setAttribute("aria-expanded", true);
    find("hint").hidden = true;
    this.element.hidden = false;
    this.show();
    const { line, before, word } = place;
    this.latest.run(signal => alternatives({ model: this.view.page.model.name, text: line, before, word }, signal), answer => {
      this.answer = answer;
      this.view.editor.mark(answer.source ?? [], place.at);
      this.show();
    }, error => {
      this.problem = error.kind === "busy" ? say("The server is busy; try again in a moment") : error.message || say("The server does not answer");
      this.show();
    });
  }

  close(back = false) {
    if (!this.isOpen) return;
    this.latest.stop();
    this.element.hidden = true;
    this.view.editor.mark();
    this.word.classList.remove("here");
    this.word.removeAttribute("aria-expanded");
    if (back) this.word.focus();
  }

  show() {
    const close = make("button", { class: "quiet close", "aria-label": say("Close") }, "×");
    close.addEventListener("click", () => this.close(true));
    const title = make("h2", { dir: "auto" }, this.place.word);
    const wait = make("p", { class: "note", role: "status" }, this.problem || say("Looking …"));
    this.element.replaceChildren(make("div", { class: "title" }, title, close), ...this.answer ? [this.looked(), ...this.others()] : [wait]);
    const first = this.element.querySelector("li button") ?? close;
    if (this.byKey && (this.answer || this.problem)) first.focus();
  }

  /* What it looked at, in words: the text itself is coloured. */
  looked() {
    const parts = (this.answer.source ?? []).filter(([, weight]) => weight > 0.02).sort((a, b) => b[1] - a[1]).slice(0, MOST);
    if (!parts.length) return make("p", { class: "note" }, say("This model has no attention: it read the whole sentence at once."));
    const list = parts.flatMap(([text, weight], at) => [at ? ", " : "", make("q", {}, text.trim()), ` ${percent(weight)}`]);
    return make("p", { class: "looked", dir: "auto" }, ...phrase("looked at {parts}", { parts: list }));
  }

  others() {
    const alternatives = this.answer.alternatives.filter(({ probability }, at) => at < FEWEST || probability >= LEAST);
    if (!alternatives.length) return [make("p", { class: "note" }, say("Nothing else was likely here."))];
    const items = alternatives.map(({ word, probability }) => {
      const same = word === this.place.word, bar = make("span", { class: "share" }), button = make("button", same ? { "aria-pressed": true } : {});
      bar.style.width = `${Math.max(1, 100 * probability)}%`;
      button.append(make("span", { class: "text", dir: "auto" }, word), make("span", { class: "track", "aria-hidden": true }, bar), make("em", {}, percent(probability)));
      button.addEventListener("click", () => same ? this.close(true) : this.view.choose(this.place, word));
      return make("li", {}, button);
    });
    return [make("p", { class: "note" }, say("Choose another word: the rest is translated again after it.")), make("ul", {}, ...items)];
  }

  move(rows) {
    const buttons = [...this.element.querySelectorAll("li button")], at = buttons.indexOf(document.activeElement);
    buttons[Math.max(0, Math.min(buttons.length - 1, at + rows))]?.focus();
  }
}
