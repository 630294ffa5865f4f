/* ---- all figures of one sentence ---- */

import { BeamView } from "./beam.js";
import { dark, make } from "./elements.js";
import { say } from "./language.js";
import { CellView } from "./recurrences.js";
import { unpackTrace } from "./unpacking.js";
import { attentionSection, tokensSection } from "./words.js";

/* The figures of a trace in an element: its data, the position selected in all figures of a side, and what
   is drawn again when that changes. `close()` ends them. */
export class Figures {
  constructor(packed, place, cursor = {}) {
    this.data = unpackTrace(packed);
    this.tokens = { encoder: this.data.source, decoder: this.data.words.map(word => word.piece) };
    this.draws = [];
    this.waiting = 0;
    this.views = {};
    this.select(cursor);
    this.show(place);
    this.closing = new AbortController();
    const { signal } = this.closing;
    addEventListener("resize", () => this.redraw(), { signal });
    dark.addEventListener("change", () => this.redraw(), { signal });
    this.redraw();
  }

  select({ encoder, decoder = 0 }) {
    const { attention, source, words } = this.data, most = attention ? attention[0].indexOf(Math.max(...attention[0])) : 0;
    this.cursor = { encoder: Math.min(encoder ?? most, source.length - 1), decoder: Math.min(decoder, words.length - 1) };
  }

  show(place) {
    const { data } = this, beam = data.beam.length ? new BeamView(this) : null;
    const sections = [tokensSection(this)];
    if (data.attention) sections.push(attentionSection(this));
    if (beam) {
      this.views.beam = beam;
      sections.push(make("section", { id: "beam" }, make("h2", {}, say("Beam search")),
        make("p", { class: "note" }, say("From left to right, position by position: the hypotheses that were kept, best first, and below "
          + "the line the best ones that were pruned. The number is the log probability of all tokens up to that position. "
          + "A shadow at an edge marks that there is more to scroll to.")),
        beam.place, beam.output));
    }
    this.views.recurrences = data.recurrences.map(cell => new CellView(this, cell));
    const recurrences = make("div", { id: "recurrences" }, ...this.views.recurrences.map(view => view.section));
    place.replaceChildren(...sections, recurrences);
  }

  onDraw(draw) { this.draws.push(draw); }

  redraw() {
    this.waiting ||= requestAnimationFrame(() => { this.waiting = 0; this.draws.forEach(draw => draw()); });
  }

  go(side, position) {
    this.cursor[side] = position;
    this.redraw();
  }

  close() {
    this.closing.abort();
    cancelAnimationFrame(this.waiting);
  }
}
