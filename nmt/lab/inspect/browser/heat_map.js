/* ---- heat maps ---- */

import { LEVELS, bare, clamp, dark, listen, make, number, palette, ramp, style } from "./elements.js";

export const NARROW = 5;  /* minimum pixels per position */

/* Values in rows and columns on a canvas: `value(row, column)`. `at()` is the selected [row, column],
   `move(row, column)` is called when the pointer or a key selects another, `order()` identifies the row order. */
export class HeatMap {
  constructor(figures, place, options) {
    Object.assign(this, { rowLabels: [], low: 0, high: 1, wide: 64, narrow: NARROW, tall: 26, order: () => 0 }, options);
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
    figures.onDraw(() => this.draw());
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

  /* The cells without the selection, cached between redraws. */
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

  /* Set the size of the canvas, and return its context. */
  measured() {
    const pen = this.canvas.getContext("2d"), ratio = devicePixelRatio || 1;
    pen.font = `12px ${style("--sans")}`;
    const longest = labels => Math.min(84, Math.max(0, ...labels.map(label => pen.measureText(bare(label)).width)));
    this.left = this.rowLabels.length ? Math.ceil(longest(this.rowLabels)) + 8 : 0;
    this.width = clamp((this.place.clientWidth - this.left) / this.columns.length, this.narrow, this.wide);
    this.height = this.rows <= 16 ? this.tall : this.left ? 16 : this.rows > 128 ? 1 : this.rows > 64 ? 2 : 4;
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
    const every = Math.ceil(13 / this.width);
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

/* The legend of a colour scale. */
export function scale(figures, low, high) {
  const bar = make("span"), element = make("span", { class: "scale" }, number(low, low < 0 ? 1 : 0), bar, number(high, low < 0 ? 1 : 0));
  figures.onDraw(() => { bar.style.background = `linear-gradient(90deg, ${ramp(low).join(",")})`; });
  return element;
}
