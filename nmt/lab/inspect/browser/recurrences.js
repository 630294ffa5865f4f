/* ---- gates and states ---- */

import { LEVELS, bare, make, number, shape } from "./elements.js";
import { HeatMap, NARROW, scale } from "./heat_map.js";
import { phrase, say } from "./language.js";
import { unpackSeries } from "./unpacking.js";

/* One cell of the model over the sentence: its gates and states side by side, the units in one order. */
export class CellView {
  constructor(figures, recurrence) {
    Object.assign(this, recurrence);
    this.figures = figures;
    this.columns = figures.tokens[this.side];
    this.series = recurrence.series.map(unpackSeries);
    this.row = 0;
    this.sort(this.series.findIndex(series => series.name === "h"));
    this.section = make("section", { "aria-label": this.title }, make("h2", {}, this.title, make("small", {}, this.cell)),
      make("p", { class: "note" }, this.about()), this.step(), this.tools());
    const maps = make("div", { class: "maps" });
    maps.style.setProperty("--least", `${NARROW * this.columns.length}px`);
    this.maps = this.series.map(series => this.map(series, maps));
    this.output = make("output");
    this.trace = make("div", { class: "trace" });
    this.section.append(maps, this.output, this.trace);
    figures.onDraw(() => this.report());
  }

  get position() { return this.figures.cursor[this.side]; }
  value(series, unit, position) {
    return series.low + series.bytes[unit * this.columns.length + position] * (series.high - series.low) / LEVELS;
  }
  values(series, unit) { return this.columns.map((_, position) => this.value(series, unit, position)); }

  about() {
    const column = this.side === "encoder" ? say("One column per source token, one row per unit") : say("One column per generated token, one row per unit");
    const shown = this.units.length < this.hidden ? say("the {shown} of {count} units whose h varies most", { shown: this.units.length, count: this.hidden })
      : say("{count} units", { count: this.hidden });
    const unnamed = this.unnamed.length ? ` ${say("Not assigned to a variable in the step, so not shown: {names}.", { names: this.unnamed.join(", ") })}` : "";
    return say("{column} ({shown}), in the same order in every picture.{unnamed}", { column, shown, unnamed });
  }

  step() {
    return make("details", {}, make("summary", {}, say("equations of the step")), make("pre", { class: "scroll" }, this.equations));
  }

  tools() {
    const choice = make("select", {}, make("option", { value: -1 }, say("number")),
      ...this.series.map((series, place) => make("option", { value: place }, say("variation of {name}", { name: series.name }))));
    choice.value = this.series.findIndex(series => series.name === "h");
    choice.addEventListener("change", () => { this.sort(Number(choice.value)); this.figures.redraw(); });
    return make("div", { class: "tools" }, make("label", {}, say("sort units by"), " ", choice), scale(this.figures, 0, 1),
      make("span", {}, say("gates")), scale(this.figures, -1, 1), make("span", {}, say("signed values, each scaled to its maximum")));
  }

  /* The order of the units: by number, or by how much a series varies, descending. */
  sort(place) {
    const all = this.units.map((_, unit) => unit);
    const spread = place < 0 ? [] : all.map(unit => deviation(this.values(this.series[place], unit)));
    this.sorted = place;
    this.order = place < 0 ? all : all.sort((a, b) => spread[b] - spread[a] || a - b);
  }

  map(series, maps) {
    const place = make("div", { class: "scroll" }), mean = average(all(series, this));
    const reach = series.low < 0 ? `±${number(series.high)}` : say("mean {mean}", { mean: number(mean) });
    maps.append(make("figure", {}, make("figcaption", {}, make("b", {}, series.name), make("span", {}, reach)), place));
    return new HeatMap(this.figures, place, {
      label: say("{name} of {title}; arrows move", { name: series.name, title: this.title }), rows: this.units.length, columns: this.columns,
      low: series.low, high: series.high, tall: 14, order: () => this.sorted,
      value: (row, column) => this.value(series, this.order[row], column),
      at: () => [this.row, this.position],
      move: (row, column) => { this.row = row; this.figures.go(this.side, column); },
    });
  }

  report() {
    const unit = this.order[this.row], t = this.position;
    const names = { unit: this.units[unit], token: make("q", {}, this.columns[t]), last: make("q", {}, t ? this.columns[t - 1] : "<s>") };
    const values = this.series.flatMap(series => [` ${series.name} `, make("b", {}, number(this.value(series, unit, t)))]);
    this.output.replaceChildren(...phrase(this.side === "encoder" ? "unit {unit}, reading {token}:" : "unit {unit}, generating {token} after {last}:", names), ...values);
    this.trace.replaceChildren(lines(this.series.map(series => [series.name, this.values(series, unit)]), this.columns, t, this.trace.clientWidth));
  }
}

const average = values => values.reduce((sum, value) => sum + value, 0) / values.length;
const all = (series, view) => view.units.flatMap((_, unit) => view.values(series, unit));

function deviation(values) {
  const mean = average(values);
  return Math.sqrt(average(values.map(value => (value - mean) ** 2)));
}

const HUES = ["#2f9a93", "#e0803a", "#8579dd", "#d0609a", "#4a9ad0", "#8d9f3a", "#b08a5a", "#7f8c99"];

/* Named lines over the positions; the selected position is marked. */
function lines(named, columns, position, room) {
  const width = Math.max(room, 240), height = 172, left = 34, right = 90, bottom = 30, count = columns.length;
  const values = named.flatMap(([, line]) => line), low = Math.min(0, ...values), high = Math.max(1, ...values);
  const x = t => left + (count > 1 ? t / (count - 1) : 0.5) * (width - left - right);
  const y = value => 8 + (high - value) / (high - low) * (height - 8 - bottom);
  const picture = shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": say("the unit over the positions") });
  for (const value of [...new Set([low, 0, 1, high])].filter(v => v === 0 || v === 1 || Math.abs(v - Math.round(v)) > 0.2)) {
    picture.append(shape("path", { class: "axis", d: `M${left} ${y(value)}H${width - right}` }),
      shape("text", { class: "small", x: left - 6, y: y(value) + 4, "text-anchor": "end" }, number(value, 1)));
  }
  picture.append(shape("path", { class: "here", d: `M${x(position)} 8V${height - bottom + 6}` }),
    shape("text", { x: x(position), y: height - 8, "text-anchor": "middle" }, bare(columns[position])));
  named.forEach(([name, line], place) => {
    const hue = HUES[place % HUES.length];
    picture.append(shape("path", { stroke: hue, d: line.map((value, t) => `${t ? "L" : "M"}${x(t)} ${y(value)}`).join("") }),
      shape("circle", { cx: x(position), cy: y(line[position]), r: 3.5, fill: hue }));
    const [column, row] = [Math.floor(place / 7), place % 7];
    const text = shape("text", { x: width - right + 16 + 40 * column, y: 18 + 19 * row }, name);
    text.style.fill = hue;
    picture.append(text);
  });
  return picture;
}
