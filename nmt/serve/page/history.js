/* ---- what was translated, in this browser only ---- */

import { make } from "../figures/elements.js";
import { forget, store, stored } from "./storage.js";
import { find } from "./texts.js";

const MOST = 50, SETTLED = 2000;  /* entries; milliseconds until a translation is one */
const LONGEST = 2000;  /* characters of an entry's text */

export class TranslationHistory {
  constructor(page) {
    this.page = page;
    find("keep").checked = stored("keep", true);
    find("keep").addEventListener("change", () => { store("keep", find("keep").checked); clearTimeout(this.timer); });
    find("forget").addEventListener("click", () => { clearTimeout(this.timer); forget("history"); this.show(); });
  }

  get entries() { return stored("history", []).filter(entry => entry && typeof entry.text === "string"); }

  /* Keep a translation, once it is not replaced by another for a while. */
  record(model, text, translation) {
    clearTimeout(this.timer);
    if (!find("keep").checked || text.length > LONGEST) return;
    this.timer = setTimeout(() => {
      const others = this.entries.filter(entry => entry.text !== text);
      store("history", [{ model: model.name, text, translation }, ...others].slice(0, MOST));
      this.show();
    }, SETTLED);
  }

  show() {
    const { entries } = this;
    find("forget").disabled = !entries.length;
    find("entries").replaceChildren(...entries.map(entry => {
      const button = make("button", {}, make("span", { dir: "auto" }, entry.text), make("span", { dir: "auto", class: "to" }, String(entry.translation)));
      button.addEventListener("click", () => this.use(entry));
      return make("li", {}, button);
    }));
  }

  use(entry) {
    const model = this.page.models.find(one => one.name === entry.model);
    this.page.text = entry.text;
    if (model) this.page.choose(model); else this.page.write(entry.text);
    find("text").focus();
  }
}
