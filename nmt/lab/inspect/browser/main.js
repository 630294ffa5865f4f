/* ---- the whole page ---- */

import { number } from "./elements.js";
import { Figures } from "./figures.js";

const find = id => document.getElementById(id);
const figures = new Figures(JSON.parse(find("data").textContent), find("figures")), { data, views } = figures;
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
