"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const find = id => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");
const pieces = { encoder: data.source, decoder: data.words.map(word => word.piece) };

/* ---- elements, numbers, pieces ---- */

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function shape(tag, attributes = {}, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

const number = (value, digits = 2) => value.toFixed(digits).replace("-", "−");
const percent = p => p >= 0.9995 ? "100%" : p >= 0.1 ? `${number(100 * p, 0)}%` : `${number(100 * p, 1)}%`;
const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
const bare = piece => piece.length > 1 && piece.startsWith("▁") ? piece.slice(1) : piece;
const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/* A piece with its sign of a word's beginning dimmed. */
function spelt(piece) {
  return piece.startsWith("▁") ? [make("i", {}, "▁"), piece.slice(1)] : [piece];
}

/* ---- colours: from 0 to 1 in one hue, from minus to plus with the ground between two ---- */

const RAMPS = {
  light: {
    gate: ["#f6f3ec", "#cfe3dc", "#7fbfb5", "#2f8f93", "#14546b", "#0b2740"],
    signed: ["#7a2e0e", "#d9793a", "#f4d9bf", "#f6f3ec", "#bcd7e6", "#4a93c0", "#153f66"],
  },
  dark: {
    gate: ["#1a2027", "#173f4c", "#1c6470", "#2fa08f", "#8ed6a3", "#f4f7c7"],
    signed: ["#ffc79a", "#d0672a", "#5f311b", "#1a2027", "#173d56", "#2f86be", "#b4e1ff"],
  },
};
const LEVELS = 255;

function mixed(stops, share) {
  const place = clamp(share, 0, 1) * (stops.length - 1), first = Math.min(Math.floor(place), stops.length - 2);
  const channel = (stop, start) => parseInt(stop.slice(start, start + 2), 16);
  const mix = start => Math.round(channel(stops[first], start) * (1 - place + first)
    + channel(stops[first + 1], start) * (place - first));
  return `rgb(${mix(1)},${mix(3)},${mix(5)})`;
}

const ramp = low => RAMPS[dark.matches ? "dark" : "light"][low < 0 ? "signed" : "gate"];
const palette = low => Array.from({ length: LEVELS + 1 }, (_, level) => mixed(ramp(low), level / LEVELS));

/* ---- the position that all figures of a side show ---- */

const cursor = { encoder: 0, decoder: 0 };
if (data.attention) cursor.encoder = data.attention[0].indexOf(Math.max(...data.attention[0]));
const redrawn = [];
let waiting = 0;

function redraw() {
  waiting ||= requestAnimationFrame(() => { waiting = 0; redrawn.forEach(draw => draw()); });
}

function go(side, position) {
  cursor[side] = position;
  redraw();
}

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], PageUp: [-10, 0],
  PageDown: [10, 0], Home: [0, -1e6], End: [0, 1e6] };

/* Calls `move(rows, columns)` for the keys that move. */
function listen(element, move) {
  element.addEventListener("keydown", event => {
    const step = STEPS[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    move(...step);
  });
}

/* ---- heat maps ---- */

/* Values in rows and columns on a canvas. `value(row, column)`, `at()` gives [row, column] to be marked,
   `move(row, column)` is told where the pointer or the keys are, and `order()` names the order of the rows. */
class HeatMap {
  constructor(place, options) {
    Object.assign(this, { rowLabels: [], low: 0, high: 1, wide: 64, narrow: 6, tall: 26, order: () => 0 }, options);
    this.canvas = make("canvas", { tabindex: 0, role: "application", "aria-label": this.label });
    this.place = place;
    place.append(this.canvas);
    const point = event => {
      const box = this.canvas.getBoundingClientRect();
      this.go(Math.floor((event.clientY - box.top) / this.height),
        Math.floor((event.clientX - box.left - this.left) / this.width));
    };
    this.canvas.addEventListener("pointermove", point);
    this.canvas.addEventListener("pointerdown", point);
    this.canvas.addEventListener("focus", () => this.go(...this.at()));
    listen(this.canvas, (rows, columns) => {
      const [row, column] = this.at();
      this.go(row + rows, column + columns);
    });
    redrawn.push(() => this.draw());
  }

  go(row, column) {
    this.move(clamp(row, 0, this.rows - 1), clamp(column, 0, this.columns.length - 1));
  }

  draw() {
    const pen = this.measured();
    const stamp = [this.order(), dark.matches, this.width, this.height, devicePixelRatio].join();
    if (this.stamp !== stamp) [this.stamp, this.image] = [stamp, this.painted()];
    pen.drawImage(this.image, this.left, 0, this.width * this.columns.length, this.rows * this.height);
    this.write(pen);
    this.mark(pen);
  }

  /* The cells alone, kept from one marking to the next. */
  painted() {
    const image = make("canvas"), ratio = devicePixelRatio || 1, pen = image.getContext("2d");
    image.width = Math.round(this.width * this.columns.length * ratio);
    image.height = Math.round(this.rows * this.height * ratio);
    const [wide, tall] = [image.width / this.columns.length, image.height / this.rows];
    const colours = palette(this.low), steps = LEVELS / (this.high - this.low);
    for (let column = 0; column < this.columns.length; column++) {
      const from = Math.round(column * wide), to = Math.round((column + 1) * wide);
      for (let row = 0; row < this.rows; row++) {
        const [top, bottom] = [Math.round(row * tall), Math.round((row + 1) * tall)];
        pen.fillStyle = colours[Math.round(clamp((this.value(row, column) - this.low) * steps, 0, LEVELS))];
        pen.fillRect(from, top, to - from, bottom - top);
      }
    }
    return image;
  }

  /* The canvas in its size, and a pen on it. */
  measured() {
    const pen = this.canvas.getContext("2d"), ratio = devicePixelRatio || 1;
    pen.font = `12px ${style("--sans")}`;
    const longest = labels => Math.min(84, Math.max(0, ...labels.map(label => pen.measureText(bare(label)).width)));
    this.left = this.rowLabels.length ? Math.ceil(longest(this.rowLabels)) + 8 : 0;
    this.width = clamp((this.place.clientWidth - this.left) / this.columns.length, this.narrow, this.wide);
    this.height = this.rows > 128 ? 1 : this.rows > 64 ? 2 : this.rows > 16 ? 4 : this.tall;
    const label = longest(this.columns);
    this.flat = label <= this.width - 4;
    const size = [this.left + this.width * this.columns.length, this.rows * this.height + (this.flat ? 20 : label + 8)];
    const [width, height] = size.map(length => Math.ceil(length * ratio));
    if (this.canvas.width !== width || this.canvas.height !== height) {
      [this.canvas.width, this.canvas.height] = [width, height];
      [this.canvas.style.width, this.canvas.style.height] = size.map(length => `${length}px`);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, ...size);
    return pen;
  }

  write(pen) {
    const [ink, soft] = [style("--ink"), style("--soft")], [atRow, atColumn] = this.at();
    pen.font = `12px ${style("--sans")}`;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    this.rowLabels.forEach((label, row) => {
      pen.fillStyle = row === atRow ? ink : soft;
      pen.fillText(bare(label), this.left - 6, (row + 0.5) * this.height, this.left - 6);
    });
    const every = Math.ceil(12 / this.width);
    this.columns.forEach((label, column) => {
      if (column % every && column !== atColumn) return;
      if (column !== atColumn && Math.abs(column - atColumn) < every) return;
      pen.fillStyle = column === atColumn ? ink : soft;
      pen.save();
      pen.translate(this.left + (column + 0.5) * this.width, this.rows * this.height + (this.flat ? 11 : 5));
      if (this.flat) pen.textAlign = "center"; else pen.rotate(-Math.PI / 2);
      pen.fillText(bare(label), 0, 0, this.flat ? this.width : 84);
      pen.restore();
    });
  }

  mark(pen) {
    const [row, column] = this.at();
    pen.strokeStyle = style("--accent");
    pen.lineWidth = 1.5;
    const [x, y] = [this.left + column * this.width, row * this.height];
    const end = this.left + this.columns.length * this.width;
    if (this.height < 8) {  /* rows too low to see a cell: a cross of the unit and the position */
      pen.globalAlpha = 0.85;
      pen.strokeRect(x + 0.75, 0.75, this.width - 1.5, this.rows * this.height - 1.5);
      pen.strokeRect(this.left + 0.75, y - 1, end - this.left - 1.5, this.height + 2);
      pen.globalAlpha = 1;
    } else {
      pen.strokeRect(x + 0.75, y + 0.75, this.width - 1.5, this.height - 1.5);
    }
  }
}

/* A legend of a scale of colours. */
function scale(low, high) {
  const bar = make("span"), element = make("span", { class: "scale" }, number(low, low < 0 ? 1 : 0), bar, number(high, low < 0 ? 1 : 0));
  redrawn.push(() => { bar.style.background = `linear-gradient(90deg, ${ramp(low).join(",")})`; });
  return element;
}

/* ---- the head, and word by word ---- */

function head() {
  find("name").textContent = data.name;
  find("text").textContent = data.text;
  find("translation").textContent = data.translation || "(nothing was written)";
  find("facts").textContent = [`${data.source.length} pieces read, ${data.words.length} written`,
    `log probability ${number(data.log_prob)}`, `score ${number(data.score)}`].join(" · ");
  document.title = `${data.text} → ${data.translation}`;
}

function words() {
  const source = data.source.map(piece => make("span", { class: "chip" }, ...spelt(piece)));
  const target = data.words.map((word, position) => {
    const bar = make("b");
    bar.style.width = `${100 * Math.exp(word.log_prob)}%`;
    const chip = make("span", { class: "chip", role: "option", id: `written-${position}` }, ...spelt(word.piece), bar);
    chip.addEventListener("click", () => go("decoder", position));
    return chip;
  });
  find("source").append(...source);
  find("target").append(...target);
  listen(find("target"), (rows, columns) => go("decoder", clamp(cursor.decoder + rows + columns, 0, target.length - 1)));
  redrawn.push(() => {
    target.forEach((chip, position) => chip.setAttribute("aria-selected", position === cursor.decoder));
    find("target").setAttribute("aria-activedescendant", `written-${cursor.decoder}`);
    source.forEach((chip, position) => tint(chip, data.attention ? data.attention[cursor.decoder][position] : 0));
    find("likeliest").replaceChildren(likeliest(data.words[cursor.decoder]));
  });
}

function tint(chip, weight) {
  chip.style.background = weight > 0.005 ? mixed(ramp(0), weight) : "";
  const on_light = dark.matches ? weight > 0.6 : weight < 0.45;
  chip.style.color = weight > 0.005 ? (on_light ? "#12181d" : "#f7f5f0") : "";
  chip.title = data.attention ? percent(weight) : "";
}

function likeliest(word) {
  const rows = [...word.likeliest];
  if (!rows.some(([piece]) => piece === word.piece)) rows.push([word.piece, word.log_prob]);
  const list = make("div", { class: "likely" });
  for (const [piece, logProb] of rows) {
    const bar = make("div");
    bar.style.width = `${100 * Math.exp(logProb)}%`;
    list.append(make("span", piece === word.piece ? { class: "written" } : {}, ...spelt(piece)), bar,
      make("em", {}, percent(Math.exp(logProb))));
  }
  return list;
}

/* ---- attention ---- */

function attention() {
  const section = find("attention");
  if (!data.attention) return section.remove();
  const place = make("div", { class: "scroll" }), output = make("output");
  section.append(make("div", { class: "tools" }, scale(0, 1)), place, output);
  telescope.attention = new HeatMap(place, {
    label: "attention; arrows move", rows: data.words.length, rowLabels: pieces.decoder, columns: data.source,
    narrow: 18, wide: 88, tall: 30, value: (row, column) => data.attention[row][column], at: () => [cursor.decoder, cursor.encoder],
    move: (row, column) => { cursor.encoder = column; go("decoder", row); },
  });
  redrawn.push(() => {
    const [row, column] = [cursor.decoder, cursor.encoder];
    output.replaceChildren("writing ", make("q", {}, pieces.decoder[row]), ", looking at ",
      make("q", {}, data.source[column]), ": ", make("b", {}, number(data.attention[row][column], 3)));
  });
}

/* ---- gates and states ---- */

function unpacked(series) {
  return { ...series, bytes: Uint8Array.from(atob(series.data), letter => letter.charCodeAt(0)) };
}

/* One cell of the model over the sentence: its gates and states side by side, the units in one order. */
class Recurrence {
  constructor(recurrence) {
    Object.assign(this, recurrence);
    this.columns = pieces[this.side];
    this.series = recurrence.series.map(unpacked);
    this.row = 0;
    this.sort(this.series.findIndex(series => series.name === "h"));
    this.section = make("section", { "aria-label": this.title }, make("h2", {}, this.title, make("small", {}, this.cell)),
      make("p", { class: "note" }, this.about()), this.tools());
    const maps = make("div", { class: "maps" });
    this.maps = this.series.map(series => this.map(series, maps));
    this.output = make("output");
    this.trace = make("div", { class: "trace" });
    this.section.append(maps, this.output, this.trace);
    find("recurrences").append(this.section);
    redrawn.push(() => this.tell());
  }

  get position() { return cursor[this.side]; }
  value(series, unit, position) {
    return series.low + series.bytes[unit * this.columns.length + position] * (series.high - series.low) / LEVELS;
  }
  values(series, unit) { return this.columns.map((_, position) => this.value(series, unit, position)); }

  about() {
    const shown = this.units.length < this.hidden
      ? `the ${this.units.length} of ${this.hidden} units whose h varies most` : `${this.hidden} units`;
    const unnamed = this.unnamed.length ? ` Not named by the cell's step, so not seen: ${this.unnamed.join(", ")}.` : "";
    return `A column for each ${this.side === "encoder" ? "source piece that is read" : "piece that is written"}, `
      + `a row for each unit (${shown}), the same one in the same row of every picture.${unnamed}`;
  }

  tools() {
    const choice = make("select", {}, make("option", { value: -1 }, "their number"),
      ...this.series.map((series, place) => make("option", { value: place }, `how much ${series.name} varies`)));
    choice.value = this.series.findIndex(series => series.name === "h");
    choice.addEventListener("change", () => { this.sort(Number(choice.value)); redraw(); });
    return make("div", { class: "tools" }, make("label", {}, "units by ", choice), scale(0, 1),
      make("span", {}, "gates"), scale(-1, 1), make("span", {}, "values with a sign, each to its own greatest"));
  }

  /* The order of the units: by number, or those first of which a series varies most. */
  sort(place) {
    const all = this.units.map((_, unit) => unit);
    const spread = place < 0 ? [] : all.map(unit => deviation(this.values(this.series[place], unit)));
    this.sorted = place;
    this.order = place < 0 ? all : all.sort((a, b) => spread[b] - spread[a] || a - b);
  }

  map(series, maps) {
    const place = make("div", { class: "scroll" }), mean = average(all(series, this));
    const reach = series.low < 0 ? `±${number(series.high)}` : `mean ${number(mean)}`;
    maps.append(make("figure", {}, make("figcaption", {}, make("b", {}, series.name), make("span", {}, reach)), place));
    return new HeatMap(place, {
      label: `${series.name} of ${this.title}; arrows move`, rows: this.units.length, columns: this.columns,
      low: series.low, high: series.high, tall: 14, order: () => this.sorted,
      value: (row, column) => this.value(series, this.order[row], column),
      at: () => [this.row, this.position],
      move: (row, column) => { this.row = row; go(this.side, column); },
    });
  }

  tell() {
    const unit = this.order[this.row], t = this.position;
    const read = this.side === "encoder" ? ["reading ", make("q", {}, this.columns[t])]
      : ["writing ", make("q", {}, this.columns[t]), " after ", make("q", {}, t ? this.columns[t - 1] : "<s>")];
    const values = this.series.flatMap(series => [` ${series.name} `, make("b", {}, number(this.value(series, unit, t)))]);
    this.output.replaceChildren(`unit ${this.units[unit]}, `, ...read, ":", ...values);
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

/* Named lines over the positions, the chosen one marked. */
function lines(named, columns, position, room) {
  const width = Math.max(room, 240), height = 172, left = 34, right = 90, bottom = 30, count = columns.length;
  const values = named.flatMap(([, line]) => line), low = Math.min(0, ...values), high = Math.max(1, ...values);
  const x = t => left + (count > 1 ? t / (count - 1) : 0.5) * (width - left - right);
  const y = value => 8 + (high - value) / (high - low) * (height - 8 - bottom);
  const picture = shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": "the unit over the positions" });
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

/* ---- the beam ---- */

const COLUMN = 118, ROW = 44, BOX = { width: 92, height: 34 };

/* The branches with the row that each has at its position: kept ones above, then those that fell out. */
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

class Beam {
  constructor(section) {
    this.branches = rows(data.beam);
    this.place = section.querySelector(".scroll");
    this.output = section.querySelector("output");
    const best = this.branches.filter(branch => branch.best);
    this.at = best.length ? best.at(-1).place : 0;
    this.place.append(this.picture());
    listen(this.place, (down, right) => this.step(down, right));
    redrawn.push(() => this.tell());
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
    if (here.best) cursor.decoder = here.position;
    this.place.scrollLeft = clamp(this.place.scrollLeft, x + COLUMN + 24 - this.place.clientWidth, x - 24);
    redraw();
  }

  tell() {
    const here = this.branches[this.at], way = this.way(here), on_way = new Set(way.map(b => b.place));
    this.nodes.forEach((node, place) => node.classList.toggle("here", place === this.at));
    this.edges.forEach((edge, place) => edge.classList.toggle("here", on_way.has(place)));
    const fates = { kept: `kept, number ${here.rank + 1} at this position`, pruned: "dropped: not among the best at this position",
      ended: `a finished translation${here.best ? ", the best" : ""}` };
    const score = here.score === null ? "" : `, score ${number(here.score)}`;
    this.output.replaceChildren(make("q", {}, way.map(b => b.piece).join("").replaceAll("▁", " ").trim()), ` · `, make("b", {}, here.piece),
      ` ${number(here.log_prob)} (${percent(Math.exp(here.log_prob))}), in all `, make("b", {}, number(here.total)), `${score} · ${fates[here.fate]}`);
  }
}

/* ---- all of it ---- */

const telescope = {};
head();
words();
attention();
if (data.beam.length) telescope.beam = new Beam(find("beam")); else find("beam").remove();
telescope.recurrences = data.recurrences.map(recurrence => new Recurrence(recurrence));
redraw();
addEventListener("resize", redraw);
dark.addEventListener("change", redraw);
