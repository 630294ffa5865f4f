"use strict";
/* ---- what nmt/insight/packing.py has packed ---- */

function bytes(text) {
  return Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
}

function unpacked(series) {
  return { ...series, bytes: bytes(series.data) };
}

/* Weights in rows of so many columns, two bytes each, in thousandths. */
function unpackedWeights(text, columns) {
  const packed = bytes(text), count = packed.length / 2 / columns;
  const weight = place => (packed[2 * place] + 256 * packed[2 * place + 1]) / 1000;
  return Array.from({ length: count }, (_, row) => Array.from({ length: columns }, (_, column) => weight(row * columns + column)));
}

function unpackedBeam({ pieces, fates, branches }) {
  return branches.map(([position, parent, piece, log_prob, total, fate, best, score = null]) =>
    ({ position, parent, piece: pieces[piece], log_prob, total, fate: fates[fate], best: best === 1, score }));
}
