/* ---- tokens and attention ---- */

import { clamp, dark, listen, make, mixed, number, percent, ramp, spell } from "./elements.js";
import { HeatMap, scale } from "./heat_map.js";
import { phrase, say } from "./language.js";

/* The tokens of both sides; the source is coloured by the attention at the selected position. */
export function tokensSection(figures) {
  const { data, cursor } = figures;
  const source = data.source.map(piece => make("span", { class: "chip" }, ...spell(piece)));
  const target = data.words.map((word, position) => {
    const bar = make("b");
    bar.style.width = `${100 * Math.exp(word.log_prob)}%`;
    const chip = make("span", { class: "chip", role: "option", id: `token-${position}` }, ...spell(word.piece), bar);
    chip.addEventListener("click", () => figures.go("decoder", position));
    return chip;
  });
  const list = make("div", { class: "chips", id: "target", role: "listbox", tabindex: 0, "aria-label": say("generated tokens"), dir: "auto" }, ...target);
  const place = make("div", { id: "likeliest" });
  listen(list, (rows, columns) => figures.go("decoder", clamp(cursor.decoder + rows + columns, 0, target.length - 1)));
  figures.onDraw(() => {
    target.forEach((chip, position) => chip.setAttribute("aria-selected", position === cursor.decoder));
    list.setAttribute("aria-activedescendant", `token-${cursor.decoder}`);
    source.forEach((chip, position) => tint(chip, data.attention ? data.attention[cursor.decoder][position] : 0, data.attention));
    place.replaceChildren(likeliest(data.words[cursor.decoder]));
  });
  return make("section", { id: "words" }, make("h2", {}, say("Tokens")),
    make("p", { class: "note" }, say("Select a token of the translation: the source is coloured by the attention when it was generated, "
      + "and the bars are the most probable tokens at its position. The line under a token is its probability.")),
    make("div", { class: "chips", id: "source", lang: "", dir: "auto" }, ...source), list, place);
}

/* Colour an element by an attention weight. */
export function tint(chip, weight, titled = true) {
  chip.style.background = weight > 0.005 ? mixed(ramp(0), weight) : "";
  const on_light = dark.matches ? weight > 0.6 : weight < 0.45;
  chip.style.color = weight > 0.005 ? (on_light ? "#12181d" : "#f7f5f0") : "";
  chip.title = titled ? percent(weight) : "";
}

function likeliest(word) {
  const rows = [...word.likeliest];
  if (!rows.some(([piece]) => piece === word.piece)) rows.push([word.piece, word.log_prob]);
  const list = make("div", { class: "likely" });
  for (const [piece, logProb] of rows) {
    const bar = make("div");
    bar.style.width = `${100 * Math.exp(logProb)}%`;
    list.append(make("span", piece === word.piece ? { class: "generated" } : {}, ...spell(piece)), bar,
      make("em", {}, percent(Math.exp(logProb))));
  }
  return list;
}

export function attentionSection(figures) {
  const { data, cursor } = figures, place = make("div", { class: "scroll" }), output = make("output");
  figures.views.attention = new HeatMap(figures, place, {
    label: say("attention; arrows move"), rows: data.words.length, rowLabels: figures.tokens.decoder, columns: data.source,
    narrow: 14, wide: 88, tall: 30, value: (row, column) => data.attention[row][column], at: () => [cursor.decoder, cursor.encoder],
    move: (row, column) => { cursor.encoder = column; figures.go("decoder", row); },
  });
  figures.onDraw(() => {
    const [row, column] = [cursor.decoder, cursor.encoder];
    output.replaceChildren(...phrase("generating {token}, attention to {source}: {weight}", { token: make("q", {}, figures.tokens.decoder[row]),
      source: make("q", {}, data.source[column]), weight: make("b", {}, number(data.attention[row][column], 3)) }));
  });
  return make("section", { id: "attention" }, make("h2", {}, say("Attention")),
    make("p", { class: "note" }, say("One row per generated token, one column per source token; each row sums to 1.")),
    make("div", { class: "tools" }, scale(figures, 0, 1)), place, output);
}
