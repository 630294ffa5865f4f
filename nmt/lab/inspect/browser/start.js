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
