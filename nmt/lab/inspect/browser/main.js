/* ---- the whole page ---- */

const views = {};
showHead();
showTokens();
showAttention();
if (data.beam.length) views.beam = new BeamView(find("beam")); else find("beam").remove();
views.recurrences = data.recurrences.map(cell => new CellView(cell));
redraw();
addEventListener("resize", redraw);
dark.addEventListener("change", redraw);
