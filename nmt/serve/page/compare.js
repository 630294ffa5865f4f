/* ---- two models side by side ---- */

import { make } from "../figures/elements.js";
import { say } from "../figures/language.js";
import { Latest } from "./latest.js";
import { translateLines } from "./lines.js";
import { stored, store } from "./storage.js";
import { Editor, find, options } from "./texts.js";
import { differences, splitWords } from "./words.js";

const PAUSE = 300, MOST_WORDS = 2000;  /* more are not compared */

/* One of the two: a model, and its translation. */
class Side {
  constructor(compare, number) {
    this.compare = compare;
    this.latest = new Latest(PAUSE);
    this.select = make("select");
    this.lines = make("div", { class: "lines" });
    this.facts = make("span");
    this.number = number;
    this.element = make("section", { class: "pane" }, this.select, this.lines, make("div", { class: "foot" }, this.facts));
    this.select.addEventListener("change", () => compare.choose());
  }

  refresh(text, glossary, pause) {
    if (!text.trim() || !this.select.value) return this.clear();
    this.latest.run(signal => {
      this.lines.classList.add("waiting");
      return translateLines({ model: this.select.value, lines: text.split("\n"), glossary }, signal);
    }, ({ results, milliseconds }) => {
      this.facts.textContent = milliseconds === null ? "" : say("{milliseconds} ms", { milliseconds });
      this.results = results.map(result => result.text);
      this.compare.page.status.clear();
      this.compare.draw();
    }, error => this.compare.page.status.failed(error, () => this.compare.refresh()), pause);
  }

  clear() {
    this.latest.stop();
    this.results = [];
    this.facts.textContent = "";
    this.compare.draw();
  }

  draw(marked) {
    this.lines.classList.remove("waiting");
    let at = 0;
    this.lines.lang = this.compare.page.model?.target ?? "";
    this.lines.replaceChildren(...this.results.map(text => make("p", { dir: "auto" }, ...this.words(text).map(({ word, space }) =>
      space || !marked[at++] ? word : make("mark", {}, word)))));
  }

  words(text) { return splitWords(text, this.compare.page.model?.target ?? ""); }
  get all() { return this.results.flatMap(text => this.words(text).filter(word => !word.space).map(word => word.word)); }
}

export class Compare {
  constructor(page) {
    this.page = page;
    this.editor = new Editor(document.querySelector("#compare .editor"), text => { page.text = text; this.refresh(PAUSE); });
    this.sides = [0, 1].map(number => new Side(this, number));
    for (const side of this.sides) side.results = [];
    document.querySelector("#compare .panes").append(...this.sides.map(side => side.element));
  }

  leave() { for (const side of this.sides) side.latest.stop(); }

  refresh(pause = 0) {
    const { model, text } = this.page;
    this.editor.text = text;
    if (!model) return;
    this.offer(model);
    if ([...text].length > this.page.characters) return this.page.status.long([...text].length, this.page.characters);
    for (const side of this.sides) side.refresh(text, this.page.glossary.terms(), pause);
  }

  /* Offer the models of the page's languages; by default the page's and another. */
  offer(model) {
    const same = this.page.models.filter(one => one.source === model.source && one.target === model.target).map(one => one.name);
    const chosen = stored("compared", []), second = same.find(name => name !== model.name);
    this.sides.forEach((side, at) => {
      const wanted = same.includes(chosen[at]) ? chosen[at] : at ? second : model.name;
      options(side.select, same.map(name => [name, name]), wanted ?? model.name);
    });
    this.single = same.length < 2;
    this.say();
  }

  choose() {
    store("compared", this.sides.map(side => side.select.value));
    this.refresh();
  }

  draw() {
    const [first, second] = this.sides.map(side => side.all);
    const compared = first.length && second.length && Math.max(first.length, second.length) <= MOST_WORDS;
    const marked = compared ? differences(first, second) : [[], []];
    this.sides.forEach((side, at) => side.draw(marked[at]));
  }

  say() {
    find("compared").textContent = this.single ? say("Serve a second model of these languages to compare: nmt serve RUN RUN")
      : say("Words that the other model does not have in the same order are marked.");
    this.sides.forEach((side, at) => {
      side.select.setAttribute("aria-label", at ? say("Second model") : say("First model"));
      side.element.setAttribute("aria-label", at ? say("Second translation") : say("First translation"));
    });
  }
}
