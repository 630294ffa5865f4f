/* ---- the beam ---- */

import { clamp, listen, make, number, percent, shape } from "./elements.js";
import { phrase, say } from "./language.js";

const COLUMN = 118, ROW = 44, BOX = { width: 92, height: 34 };

/* The branches with their rows: at each position the kept ones above, then the pruned ones. */
function rows(beam) {
  const kept = Math.max(...count(beam, branch => branch.fate !== "pruned"));
  const next = new Map();
  return beam.map((branch, place) => {
    const group = `${branch.position} ${branch.fate === "pruned"}`, rank = next.get(group) || 0;
    next.set(group, rank + 1);
    return { ...branch, place, rank, row: branch.fate === "pruned" ? kept + 0.4 + rank : rank, kept };
  });
}

function count(beam, wanted) {
  const counts = [0];
  for (const branch of beam.filter(wanted)) counts[branch.position] = (counts[branch.position] || 0) + 1;
  return counts.map(number => number || 0);
}

export class BeamView {
  constructor(figures) {
    this.figures = figures;
    this.branches = rows(figures.data.beam);
    this.place = make("div", { class: "scroll", tabindex: 0, role: "application", "aria-label": say("the beam as a tree; arrows move") });
    this.output = make("output");
    const best = this.branches.filter(branch => branch.best);
    this.at = best.length ? best.at(-1).place : 0;
    this.place.append(this.picture());
    listen(this.place, (down, right) => this.step(down, right));
    figures.onDraw(() => this.report());
  }

  x(branch) { return branch ? 24 + branch.position * COLUMN : -72; }
  y(branch) { return branch ? 26 + branch.row * ROW : 26; }

  picture() {
    const last = Math.max(...this.branches.map(b => b.position)), lowest = Math.max(...this.branches.map(b => b.row));
    const [width, height] = [(last + 1) * COLUMN + 24, 26 + (lowest + 1) * ROW];
    const picture = shape("svg", { class: "beam", width, height, viewBox: `0 0 ${width} ${height}` });
    const rule = 26 + (this.branches[0].kept + 0.08) * ROW;
    picture.append(shape("path", { class: "rule", d: `M0 ${rule}H${width}` }));
    for (let t = 0; t <= last; t++) picture.append(shape("text", { class: "small", x: 24 + t * COLUMN, y: 14 }, `${t + 1}`));
    this.edges = this.branches.map(branch => this.edge(branch));
    this.nodes = this.branches.map(branch => this.node(branch));
    picture.append(...this.edges, ...this.nodes);
    return picture;
  }

  classes(branch) { return `${branch.fate}${branch.best ? " best" : ""}`; }

  edge(branch) {
    const parent = this.branches[branch.parent], middle = BOX.height / 2;
    const [x0, y0] = [this.x(parent) + BOX.width, this.y(parent) + middle], [x1, y1] = [this.x(branch), this.y(branch) + middle];
    const d = parent ? `M${x0} ${y0}C${x0 + 16} ${y0} ${x1 - 16} ${y1} ${x1} ${y1}` : `M4 ${26 + middle}C14 ${26 + middle} 12 ${y1} ${x1} ${y1}`;
    return shape("path", { class: `edge ${this.classes(branch)}`, d });
  }

  node(branch) {
    const node = shape("g", { class: `node ${this.classes(branch)}`, transform: `translate(${this.x(branch)} ${this.y(branch)})` });
    const piece = branch.piece.length > 9 ? `${branch.piece.slice(0, 8)}…` : branch.piece;
    node.append(shape("rect", { ...BOX, rx: 7 }), shape("text", { x: 8, y: 15 }, piece),
      shape("text", { class: "small", x: 8, y: 28 }, branch.score === null ? number(branch.total) : `${number(branch.total)} → ${number(branch.score)}`));
    node.addEventListener("click", () => this.go(branch.place));
    return node;
  }

  way(branch) { return branch ? [...this.way(this.branches[branch.parent]), branch] : []; }

  step(down, right) {
    const here = this.branches[this.at], others = this.branches.filter(b => b.position === here.position);
    const children = this.branches.filter(b => b.parent === here.place);
    if (down) return this.go(others[clamp(others.indexOf(here) + down, 0, others.length - 1)].place);
    if (right < -1) return this.go(this.way(here)[0].place);
    if (right > 1) return this.go(this.branches.filter(b => b.best).at(-1).place);
    if (right < 0 && here.parent >= 0) this.go(here.parent);
    if (right > 0 && children.length) this.go((children.find(b => b.best) || children[0]).place);
  }

  go(place) {
    this.at = place;
    const here = this.branches[place], x = this.x(here);
    if (here.best) this.figures.cursor.decoder = here.position;
    this.place.scrollLeft = clamp(this.place.scrollLeft, x + COLUMN + 24 - this.place.clientWidth, x - 24);
    this.figures.redraw();
  }

  report() {
    const here = this.branches[this.at], way = this.way(here), on_way = new Set(way.map(b => b.place));
    this.nodes.forEach((node, place) => node.classList.toggle("here", place === this.at));
    this.edges.forEach((edge, place) => edge.classList.toggle("here", on_way.has(place)));
    const fates = { kept: say("kept, rank {rank} at this position", { rank: here.rank + 1 }), pruned: say("pruned: not among the best at this position"),
      ended: here.best ? say("finished, the best translation") : say("finished") };
    const score = here.score === null ? "" : say(", score {score}", { score: number(here.score) });
    const text = way.map(b => b.piece).join("").replaceAll("▁", " ").trim();
    this.output.replaceChildren(...phrase("{text} · {token} {log_prob} ({probability}), total {total}{score} · {fate}", {
      text: make("q", {}, text), token: make("b", {}, here.piece), log_prob: number(here.log_prob), score, fate: fates[here.fate],
      probability: percent(Math.exp(here.log_prob)), total: make("b", {}, number(here.total)) }));
  }
}
