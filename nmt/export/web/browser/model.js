// The graphs of an exported translator in onnxruntime; as nmt/export/runtime.py.

import { EOS } from "./vocabulary.js";

const ATTENTION_ROWS = 16; // hypotheses that attend to the keys in one product

export class OnnxModel {
  // `ort` is the library, `encoder` and `step` are sessions, `config` the content of config.json.
  constructor(ort, encoder, step, config) {
    Object.assign(this, { _ort: ort, _encoder: encoder, _step: step });
    this._memory = config.memory;
    this._state = Object.keys(config.state).map((name) => `state.${name}`);
    this._feeds = new Map(); // what attention needs, by the number of hypotheses of the last sentence
    this._attended = null; // that sentence
  }

  // Encode a sentence, given by tokens without eos.
  async encode(source) {
    const src = this._integers([...source, EOS], [1, source.length + 1]);
    return this._encoder.run({ src });
  }

  // Run a step for hypotheses of one sentence, which continue the rows `parents` of the state (null at the start).
  async step(tokens, state, parents, memory) {
    const rows = tokens.length;
    const feeds = { y: this._integers(tokens, [rows]), parents: this._integers(parents, [rows]) };
    for (const name of this._state) feeds[name] = state ? state[`next.${name}`] : memory[name];
    if (this._memory.length) Object.assign(feeds, this._attend(memory, rows));
    const outputs = await this._step.run(feeds);
    const weights = outputs.weights ? splitRows(outputs.weights) : null;
    return { logProbs: splitRows(outputs.log_probs), state: outputs, weights };
  }

  // Keys, values and mask of a sentence, for each group of hypotheses, and the rows of the groups.
  _attend(memory, count) {
    if (this._attended !== memory) this._feeds.clear();
    this._attended = memory;
    if (!this._feeds.has(count)) this._feeds.set(count, this._group(memory, count));
    return this._feeds.get(count);
  }

  _group(memory, count) {
    const groups = Math.ceil(count / ATTENTION_ROWS);
    const width = Math.max(2, Math.min(count, ATTENTION_ROWS)); // one row alone would be rounded differently
    const rows = new Array(groups * width).fill(0);
    const places = [];
    for (let row = 0; row < count; row++) {
      const place = Math.floor(row / ATTENTION_ROWS) * width + (row % ATTENTION_ROWS);
      rows[place] = row;
      places.push(place);
    }
    const feeds = { rows: this._integers(rows, [groups, width]), place: this._integers(places, [count]) };
    for (const name of this._memory) feeds[name] = this._repeat(memory[name], groups);
    const length = memory[this._memory[0]].dims[1];
    feeds.mask = new this._ort.Tensor("bool", new Uint8Array(groups * length).fill(1), [groups, length]);
    return feeds;
  }

  _repeat(tensor, times) {
    if (times === 1) return tensor;
    const data = new Float32Array(times * tensor.data.length);
    for (let index = 0; index < times; index++) data.set(tensor.data, index * tensor.data.length);
    return new this._ort.Tensor("float32", data, [times, ...tensor.dims.slice(1)]);
  }

  _integers(values, sizes) {
    return new this._ort.Tensor("int64", BigInt64Array.from(values, BigInt), sizes);
  }
}

// The rows of a matrix.
function splitRows({ data, dims: [rows, columns] }) {
  return Array.from({ length: rows }, (_, row) => data.subarray(row * columns, (row + 1) * columns));
}
