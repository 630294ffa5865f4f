/* ---- head and tokens ---- */

function showHead() {
  find("name").textContent = data.name;
  find("text").textContent = data.text;
  find("translation").textContent = data.translation || "(empty)";
  find("facts").textContent = [`${data.read} source tokens, ${data.written} generated tokens`,
    `log probability ${number(data.log_prob)}`, `score ${number(data.score)}`].join(" · ");
  if (data.source.length < data.read || data.words.length < data.written)
    find("cut").textContent = `The page shows the first ${data.source.length} source tokens and the first ${data.words.length} `
      + "generated ones: with all of them it would be larger than a megabyte. The formats txt and json have all.";
  else find("cut").remove();
  document.title = `${data.text} → ${data.translation}`;
}

function showTokens() {
  const source = data.source.map(piece => make("span", { class: "chip" }, ...spell(piece)));
  const target = data.words.map((word, position) => {
    const bar = make("b");
    bar.style.width = `${100 * Math.exp(word.log_prob)}%`;
    const chip = make("span", { class: "chip", role: "option", id: `token-${position}` }, ...spell(word.piece), bar);
    chip.addEventListener("click", () => go("decoder", position));
    return chip;
  });
  find("source").append(...source);
  find("target").append(...target);
  listen(find("target"), (rows, columns) => go("decoder", clamp(cursor.decoder + rows + columns, 0, target.length - 1)));
  redrawn.push(() => {
    target.forEach((chip, position) => chip.setAttribute("aria-selected", position === cursor.decoder));
    find("target").setAttribute("aria-activedescendant", `token-${cursor.decoder}`);
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
    list.append(make("span", piece === word.piece ? { class: "generated" } : {}, ...spell(piece)), bar,
      make("em", {}, percent(Math.exp(logProb))));
  }
  return list;
}

/* ---- attention ---- */

function showAttention() {
  const section = find("attention");
  if (!data.attention) return section.remove();
  const place = make("div", { class: "scroll" }), output = make("output");
  section.append(make("div", { class: "tools" }, scale(0, 1)), place, output);
  views.attention = new HeatMap(place, {
    label: "attention; arrows move", rows: data.words.length, rowLabels: tokens.decoder, columns: data.source,
    narrow: 14, wide: 88, tall: 30, value: (row, column) => data.attention[row][column], at: () => [cursor.decoder, cursor.encoder],
    move: (row, column) => { cursor.encoder = column; go("decoder", row); },
  });
  redrawn.push(() => {
    const [row, column] = [cursor.decoder, cursor.encoder];
    output.replaceChildren("generating ", make("q", {}, tokens.decoder[row]), ", attention to ",
      make("q", {}, data.source[column]), ": ", make("b", {}, number(data.attention[row][column], 3)));
  });
}
