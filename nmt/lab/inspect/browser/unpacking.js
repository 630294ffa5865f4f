/* ---- unpacking of the data that nmt/lab/inspect/page.py has packed ---- */

function bytes(text) {
  return Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
}

export function unpackSeries(series) {
  return { ...series, bytes: bytes(series.data) };
}

/* Weights in rows of `columns`, two bytes each, in thousandths. */
function unpackWeights(text, columns) {
  const packed = bytes(text), count = packed.length / 2 / columns;
  const weight = i => (packed[2 * i] + 256 * packed[2 * i + 1]) / 1000;
  return Array.from({ length: count }, (_, row) => Array.from({ length: columns }, (_, column) => weight(row * columns + column)));
}

function unpackBeam({ pieces, fates, branches }) {
  return branches.map(([position, parent, piece, log_prob, total, fate, best, score = null]) =>
    ({ position, parent, piece: pieces[piece], log_prob, total, fate: fates[fate], best: best === 1, score }));
}

/* The data of a sentence as nmt/lab/inspect/page.py packs them. */
export function unpackTrace(packed) {
  return { ...packed, beam: unpackBeam(packed.beam),
    attention: packed.attention === null ? null : unpackWeights(packed.attention, packed.source.length) };
}
