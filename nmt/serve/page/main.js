/* ---- the whole page: models, languages, views ---- */

import { useTexts } from "../figures/language.js";
import { Compare } from "./compare.js";
import { TranslationHistory } from "./history.js";
import { Inside } from "./inside.js";
import { TEXTS } from "./korean.js";
import { forgetTranslations } from "./lines.js";
import { Glossary } from "./glossary.js";
import { listModels, useKey } from "./server.js";
import { Status } from "./status.js";
import { store, stored } from "./storage.js";
import { Translate } from "./translate.js";
import { find, languageName, options, sayAll } from "./texts.js";

const ARROWS = { ArrowLeft: -1, ArrowRight: 1, Home: -9, End: 9 };

class Page {
  constructor() {
    this.models = [];
    this.characters = Infinity;
    this.text = "";
    this.status = new Status(() => this.load());
    this.glossary = new Glossary(() => this.view.refresh());
    this.views = { translate: new Translate(this), compare: new Compare(this), inside: new Inside(this) };
    this.history = new TranslationHistory(this);
    this.tabs = [...document.querySelectorAll("[role=tab]")];
    for (const tab of this.tabs) {
      tab.addEventListener("click", () => this.show(tab.getAttribute("aria-controls")));
      tab.addEventListener("keydown", event => this.move(event, tab));
    }
    find("pair").addEventListener("change", () => this.choose(this.models.find(one => pair(one) === find("pair").value)));
    find("model").addEventListener("change", () => this.choose(this.models.find(one => one.name === find("model").value)));
    find("swap").addEventListener("click", () => this.swap());
    find("language").addEventListener("change", () => { store("language", find("language").value); this.speak(); });
    find("key").addEventListener("submit", event => { event.preventDefault(); useKey(find("key-value").value); this.load(); });
    addEventListener("hashchange", () => this.show(location.hash.slice(1)));
    find("language").value = stored("language", navigator.language.startsWith("ko") ? "ko" : "en");
    find("language").value ||= "en";
    this.show(location.hash.slice(1));
    this.speak();
    this.load();
  }

  get view() { return this.views[this.shown]; }

  /* Ask which models there are; again after a while if nobody answers. */
  async load() {
    try {
      ({ models: this.models, characters: this.characters } = await listModels());
      forgetTranslations();
      this.status.clear();
      find("key").hidden = true;
      const chosen = stored("model", "");
      this.choose(this.models.find(one => one.name === chosen) ?? this.models[0], false);
    } catch (error) {
      this.status.failed(error);
    }
  }

  /* Use a model from now on. */
  choose(model, remembered = true) {
    this.model = model;
    if (model && remembered) store("model", model.name);
    this.list();
    if (!model) this.status.nothing();
    this.view.refresh();
  }

  list() {
    const same = this.model ? this.models.filter(one => pair(one) === pair(this.model)) : [];
    const pairs = new Map(this.models.map(one => [pair(one), `${languageName(one.source)} → ${languageName(one.target)}`]));
    options(find("pair"), [...pairs], this.model && pair(this.model));
    options(find("model"), same.map(one => [one.name, one.name]), this.model?.name);
    find("swap").disabled = !this.reverse();
    find("text").lang = this.model?.source ?? "";
    find("lines").lang = this.model?.target ?? "";
  }

  reverse() {
    return this.model && this.models.find(one => one.source === this.model.target && one.target === this.model.source);
  }

  /* Translate the other way, beginning with the translation. */
  swap() {
    const text = this.views.translate.translation;
    this.choose(this.reverse());
    this.write(text || this.text);
  }

  /* Use another text in all views. */
  write(text) {
    this.text = text;
    this.view.refresh();
  }

  show(name) {
    this.view?.leave();
    this.status.settle();
    this.shown = Object.hasOwn(this.views, name) ? name : "translate";
    for (const tab of this.tabs) {
      const here = tab.getAttribute("aria-controls") === this.shown;
      tab.setAttribute("aria-selected", here);
      tab.tabIndex = here ? 0 : -1;
      find(tab.getAttribute("aria-controls")).hidden = !here;
    }
    if (location.hash.slice(1) !== this.shown) history.replaceState(null, "", this.shown === "translate" ? "." : `#${this.shown}`);
    this.view.refresh();
  }

  move(event, tab) {
    if (!(event.key in ARROWS)) return;
    event.preventDefault();
    const at = this.tabs.indexOf(tab) + ARROWS[event.key], count = this.tabs.length;
    const other = this.tabs[Math.abs(ARROWS[event.key]) > 1 ? Math.max(0, Math.min(count - 1, at)) : (at + count) % count];
    other.focus();
    other.click();
  }

  /* Write all texts of the page in its language. */
  speak() {
    const language = document.documentElement.lang = find("language").value;
    useTexts(language === "ko" ? TEXTS : {});
    sayAll();
    this.list();
    this.status.say();
    this.glossary.show();
    this.history.show();
    for (const view of Object.values(this.views)) view.say();
  }
}

const pair = model => `${model.source} ${model.target}`;

new Page();
