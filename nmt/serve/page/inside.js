/* ---- the figures of a sentence, as one types ---- */

import { Figures } from "../figures/figures.js";
import { number } from "../figures/elements.js";
import { say } from "../figures/language.js";
import { Latest } from "./latest.js";
import { inside } from "./server.js";
import { find } from "./texts.js";

const PAUSE = 350, BEAT = 700;  /* milliseconds: until a sentence is traced; of a token while playing */
const LONGEST = 300;  /* characters of a sentence */

export class Inside {
  constructor(page) {
    this.page = page;
    this.latest = new Latest(PAUSE);
    this.input = find("sentence");
    this.input.maxLength = LONGEST;
    this.input.addEventListener("input", () => this.write());
    find("play").addEventListener("click", () => this.playing ? this.stop() : this.play());
  }

  /* The sentence is a line of the page's text: the first that has one. */
  write() {
    const lines = this.page.text.split("\n"), at = Math.max(0, lines.findIndex(line => line.trim()));
    lines[at] = this.input.value;
    this.page.text = lines.join("\n");
    this.trace(PAUSE);
  }

  refresh() {
    const line = this.page.text.split("\n").find(line => line.trim()) ?? "";
    if (this.input.value !== line) this.input.value = line.slice(0, LONGEST);
    this.trace(0);
  }

  leave() {
    this.latest.stop();
    this.stop();
  }

  trace(pause) {
    const { model, status } = this.page, text = this.input.value, key = JSON.stringify([model?.name, text]);
    this.leave();
    find("figures").classList.remove("waiting");
    if (model) status.clear();
    if (key === this.key && this.figures) return;
    if (!model || !text.trim()) return this.clear();
    if (model.explains === false) {
      status.set(() => say("An export has no weights to look inside: serve the run"), "wrong");
      return this.clear();
    }
    this.latest.run(signal => {
      status.working();
      find("figures").classList.add("waiting");
      return inside({ model: model.name, text }, signal);
    }, trace => {
      status.clear();
      [this.key, this.packed] = [key, trace];
      this.draw();
    }, error => {
      find("figures").classList.remove("waiting");
      status.failed(error, () => this.trace(0));
    }, pause);
  }

  clear() {
    this.latest.stop();
    this.figures?.close();
    this.figures = this.key = this.packed = null;
    find("figures").replaceChildren();
    this.say();
  }

  draw() {
    const cursor = this.figures?.cursor ?? {};
    this.figures?.close();
    find("figures").classList.remove("waiting");
    this.figures = new Figures(this.packed, find("figures"), { decoder: cursor.decoder });
    this.say(false);
  }

  say(drawn = true) {
    const trace = this.packed;
    find("result").textContent = trace?.translation ?? "";
    find("inside-facts").textContent = trace ? say("{read} source tokens, {written} generated tokens, log probability {log_prob}",
      { read: trace.read, written: trace.written, log_prob: number(trace.log_prob) }) : "";
    find("play").disabled = !trace;
    find("play").textContent = this.playing ? say("Stop") : say("Play");
    if (trace && drawn) this.draw();
  }

  /* Go from token to token of the translation. */
  play() {
    const { figures } = this, last = figures.tokens.decoder.length - 1;
    figures.go("decoder", figures.cursor.decoder >= last ? 0 : figures.cursor.decoder);
    this.playing = setInterval(() => figures.cursor.decoder < last ? figures.go("decoder", figures.cursor.decoder + 1) : this.stop(), BEAT);
    find("play").textContent = say("Stop");
  }

  stop() {
    clearInterval(this.playing);
    this.playing = 0;
    find("play").textContent = say("Play");
  }
}
