/* ---- the view that translates as one types ---- */

import { clamp, listen, make } from "../figures/elements.js";
import { say } from "../figures/language.js";
import { Latest } from "./latest.js";
import { translateLines } from "./lines.js";
import { Editor, find } from "./texts.js";
import { WordPanel } from "./word.js";
import { splitWords } from "./words.js";

const same = (place, other) => place.at === other.at && place.before === other.before;
const PAUSE = 250;  /* milliseconds without a key until a text is translated */
const SPOKEN = 1200;  /* until a screen reader hears the translation */

export class Translate {
  constructor(page) {
    this.page = page;
    this.latest = new Latest(PAUSE);
    this.results = [];
    this.choices = new Map();  /* prefixes by line, each with the text and the model that it belongs to */
    this.place = find("lines");
    this.editor = new Editor(document.querySelector("#translate .editor"), text => { page.text = text; this.refresh(PAUSE); });
    this.panel = new WordPanel(this);
    find("clear").addEventListener("click", () => { page.write(""); this.editor.area.focus(); });
    find("copy").addEventListener("click", () => this.copy());
    find("undo").addEventListener("click", () => { this.choices.clear(); this.refresh(); });
    listen(this.place, (rows, columns) => this.move(rows, columns));
    this.place.addEventListener("keydown", event => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      this.open(document.activeElement, true);
    });
    this.place.addEventListener("click", event => this.open(event.target.closest(".word"), false));
  }

  get lines() { return this.page.text.split("\n"); }
  get translation() { return this.results.map(result => result.text).join("\n"); }

  /* Another view is shown: its messages are not overwritten. */
  leave() { this.latest.stop(); }

  /* Translate the text of the page after a pause. */
  refresh(pause = 0) {
    const { page, lines } = this, { model, text } = page, count = [...text].length;
    this.editor.text = text;
    this.panel.close();
    find("count").textContent = text && page.characters < Infinity ? `${count.toLocaleString()} / ${page.characters.toLocaleString()}` : "";
    if (!model) return;
    if (!text.trim()) {
      this.latest.stop();
      page.status.clear();
      return this.draw([]);
    }
    if (count > page.characters) {
      this.latest.stop();
      return page.status.long(count, page.characters);
    }
    const prefixes = lines.map((line, at) => this.choice(line, at));
    const request = { model: model.name, lines, prefixes, glossary: page.glossary.terms() };
    this.latest.run(signal => {
      page.status.working();
      this.place.classList.add("waiting");
      return translateLines(request, signal);
    }, ({ results, milliseconds }) => {
      this.milliseconds = milliseconds;
      page.status.clear();
      this.draw(results);
      page.history.record(model, text, this.translation);
    }, error => {
      this.place.classList.remove("waiting");
      page.status.failed(error, () => this.refresh());
    }, pause);
  }

  /* The beginning of the translation of a line that was chosen for it, "" if none was. */
  choice(line, at) {
    const choice = this.choices.get(at);
    return choice?.line === line && choice.model === this.page.model.name ? choice.prefix : "";
  }

  draw(results) {
    this.results = results;
    this.place.classList.remove("waiting");
    this.place.replaceChildren(...results.map(({ text }, at) => make("p", { dir: "auto" }, ...this.words(text, at))));
    this.all = [...this.place.querySelectorAll(".word")];
    const chosen = this.all.find(word => this.sought && same(this.places.get(word), this.sought)), first = chosen ?? this.all[0];
    if (first) first.tabIndex = 0;
    chosen?.focus();
    this.sought = null;
    find("hint").hidden = !this.all.length || this.panel.used;
    find("undo").hidden = !results.length || !this.lines.some((line, at) => this.choice(line, at));
    this.say();
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => { find("spoken").textContent = this.translation; }, SPOKEN);
  }

  words(text, at) {
    const chosen = this.choice(this.lines[at], at).length;
    return splitWords(text, this.page.model.target).map(({ before, word, space }) => {
      if (space) return word;
      const element = make("span", { class: before.length + word.length === chosen ? "word chosen" : "word", role: "button", tabindex: -1 }, word);
      this.places.set(element, { at, before, word });
      return element;
    });
  }

  places = new WeakMap();  /* line number, text before, and text of each word */

  say() {
    const notes = this.results.flatMap(result => result.notes ?? []);
    const time = this.results.length && this.milliseconds !== null ? say("{milliseconds} ms", { milliseconds: this.milliseconds }) : "";
    find("facts").textContent = [time, ...notes].filter(Boolean).join(" · ");
    find("copy").disabled = !this.results.length;
    if (this.panel.isOpen) this.panel.show();
  }

  /* Move from word to word, from line to line. */
  move(rows, columns) {
    const here = this.all.indexOf(document.activeElement);
    if (here < 0) return;
    const line = step => this.all.findIndex(word => this.places.get(word).at === this.places.get(this.all[here]).at + step);
    const at = rows ? line(Math.sign(rows)) : clamp(here + columns, 0, this.all.length - 1);
    if (at < 0) return;
    this.all[here].tabIndex = -1;
    this.all[at].tabIndex = 0;
    this.all[at].focus();
  }

  open(element, byKey) {
    if (!this.places.has(element)) return;
    for (const word of this.all) word.tabIndex = word === element ? 0 : -1;
    this.panel.open(element, { ...this.places.get(element), line: this.lines[this.places.get(element).at] }, byKey);
  }

  /* Begin the translation of a line with another word. */
  choose({ at, line, before }, word) {
    this.choices.set(at, { line, model: this.page.model.name, prefix: before + word });
    this.sought = { at, before };  /* the word that has the focus then */
    this.refresh();
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.translation);
      find("copy").textContent = say("Copied");
      setTimeout(() => { find("copy").textContent = say("Copy"); }, 1500);
    } catch {
      getSelection().selectAllChildren(this.place);
    }
  }
}

