// The page: what is typed is translated by the worker.

import { chooseTexts } from "./texts.js";

const PAUSE = 120; // milliseconds without typing before a text is translated
const [SHORTEST, ALTERNATIVES] = [1, 5]; // candidates of a line

const find = (id) => document.getElementById(id);
const [source, translation, status, alternatives] = ["source", "translation", "status", "alternatives"].map(find);
const worker = new Worker("worker.js", { type: "module" });
let texts = chooseTexts(navigator.language);
let site = null; // the content of config.json
let state = { name: "loading" }; // what the status line shows
let id = 0; // of the last text
let timer = null;

worker.onmessage = ({ data }) => {
  if (data.type === "ready") {
    show({ name: id ? "working" : "ready" }); // it has the text that was typed meanwhile
    if (!source.value) keepOffline();
    else if (!id) translateNow();
  } else if (data.type === "error") {
    show({ name: "failed", message: data.message });
  } else if (data.id === id) {
    receive(data);
  }
};
worker.onerror = (event) => show({ name: "failed", message: event.message ?? "" });

source.addEventListener("input", () => {
  id += 1; // what is still translated of the text before is not shown
  translation.classList.add("outdated");
  clearTimeout(timer);
  timer = setTimeout(translateNow, PAUSE);
});
alternatives.addEventListener("change", translateNow);
find("language").addEventListener("click", () => {
  texts = texts.other();
  showTexts();
});
find("card-label").parentElement.addEventListener("toggle", showCard);

function translateNow() {
  id += 1;
  if (!source.value.trim()) {
    translation.replaceChildren();
    show({ name: "ready" });
    return;
  }
  if (state.name !== "loading") show({ name: "working" });
  worker.postMessage({ id, text: source.value, nBest: alternatives.checked ? ALTERNATIVES : SHORTEST });
}

function receive(data) {
  if (data.type === "done") {
    show({ name: "done", milliseconds: data.milliseconds });
    keepOffline();
    return;
  }
  const [best, ...others] = data.candidates;
  if (data.index === 0) translation.replaceChildren();
  translation.classList.remove("outdated");
  translation.append(paragraph(best), ...list(others));
}

function paragraph(text) {
  const element = document.createElement("p");
  element.textContent = text;
  return element;
}

function list(candidates) {
  if (!candidates.length) return [];
  const element = document.createElement("ol");
  element.start = 2;
  for (const text of candidates) element.append(Object.assign(document.createElement("li"), { textContent: text }));
  return [element];
}

function show(next) {
  if (next) state = next;
  status.dataset.state = state.name;
  status.textContent = texts.status(state);
}

function showTexts() {
  document.documentElement.lang = texts.language;
  for (const [name, text] of Object.entries(texts.labels)) find(name).textContent = text;
  find("language").textContent = texts.otherName;
  find("language").lang = texts.other().language;
  source.placeholder = texts.placeholder;
  show();
  if (!site) return;
  const [from, to] = site.languages.map(texts.languageName);
  document.title = `${from} → ${to}`;
  find("title").textContent = document.title;
  find("source-language").textContent = from;
  find("target-language").textContent = to;
  [source.lang, translation.lang] = site.languages;
}

async function showCard() {
  if (find("card").textContent) return;
  const card = await fetch("model/README.md");
  find("card").textContent = (await card.text()).replace(/^---\n.*?\n---\n\s*/s, "");
}

// Keep the files of the page, after the first translation, which would have to wait for them.
function keepOffline() {
  navigator.serviceWorker?.register("service-worker.js").catch(() => {}); // only over https, or from this machine
}

async function showLanguages() {
  site = await (await fetch("model/config.json")).json();
  showTexts();
}

showTexts();
showLanguages();
