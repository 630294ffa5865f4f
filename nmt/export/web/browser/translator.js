// A translator: lines to translations; as nmt/decoding/translation.py.

import { upper } from "./case.js";
import { planParts } from "./parts.js";
import { Protection } from "./protection.js";
import { DEFAULTS, search } from "./search.js";
import { SentenceSplitter } from "./sentences.js";
import { isBlank, TextRules } from "./text.js";
import { readVocabulary } from "./vocabulary.js";

const LONGEST_PART = 200; // source tokens translated at once, unless the model was trained on longer lines

export class Translator {
  // `files`: config, text, kinds and lengths (JSON values; the latter null without them), source and target (bytes);
  // `segment` is the library's division of a text into sentences.
  constructor(model, files, segment) {
    const { config, kinds, lengths } = files;
    const rules = new TextRules(files.text);
    const source = readVocabulary(files.source, rules);
    const target = readVocabulary(files.target, rules);
    const count = Math.min(source.copies.stop - source.copies.start, target.copies.stop - target.copies.start);
    const wholeWords = !(source.dividesWords && target.dividesWords);
    const protection = kinds?.length && count ? new Protection(kinds, count, wholeWords, rules) : null;
    Object.assign(this, { _model: model, _rules: rules, source, target, languages: config.languages });
    this.options = {
      ...DEFAULTS,
      beam: config.search.beam,
      lengthPenalty: config.search.length_penalty,
      maxRatio: config.search.max_ratio,
      maxExtra: config.search.max_extra,
    };
    this._planning = {
      source,
      protection,
      rules,
      splitter: new SentenceSplitter(segment, rules),
      language: config.languages[0],
      lengths,
      longestPart: Math.max(LONGEST_PART, lengths?.tokens ?? 0),
    };
  }

  // The translations of a line, best first: `nBest` at most. `stop()` ends the work, with null as the result.
  async translate(line, options = {}, stop = () => false) {
    const given = line.toWellFormed?.() ?? line;
    if (isBlank(given)) return [""];
    const { protection, source, splitter } = this._planning;
    const { text, copies } = protection?.protect(given, source.tag(given)) ?? { text: given, copies: [] };
    const left = [...copies];
    const parts = [];
    for (const part of planParts(text, this._planning)) {
      const hypotheses = await this._search(part, { ...this.options, ...options }, stop);
      if (!hypotheses) return null;
      const ofPart = this._numberCopies(part.ids, left);
      parts.push(hypotheses.map((one) => ({ ...one, text: this._write(one.ids, part, ofPart), gap: part.gap })));
    }
    if (!parts.length) return [""];
    const joined = combineBest(parts, options.nBest ?? 1);
    return joined.map((rank) =>
      rank.reduce((before, { text: after, gap }) => before + splitter.findSeparator(before, after, gap) + after, ""),
    );
  }

  _search({ ids }, options, stop) {
    const { source, target } = this;
    const constraints = { stop, blocksUnknown: target.hasBytes };
    if (this._planning.protection) {
      const isCopy = (id) => id >= source.copies.start && id < source.copies.stop;
      constraints.copies = ids.filter(isCopy).map((id) => id - source.copies.start + target.copies.start);
      constraints.symbols = target.copies;
    }
    return search(this._model, ids, options, constraints);
  }

  // The copies of a part by the numbers of their symbols; `left` are those of the line that are not taken yet.
  _numberCopies(ids, left) {
    const { start, stop } = this.source.copies;
    const numbered = new Map();
    if (!left.length) return numbered;
    for (const id of ids) if (id >= start && id < stop) numbered.set(id - start + 1, left.shift());
    return numbered;
  }

  // The text of an output.
  _write(ids, part, copies) {
    let text = this.target.decode(ids);
    if (part.inCapitals) text = upper(text, this.languages[1]);
    const line = this._rules.splitLines(text).join(" ");
    return this._planning.protection ? this._planning.protection.restore(line, copies) : line;
  }
}

// The `count` best choices of a hypothesis for each part: finished ones first, then by the sum of scores.
function combineBest(parts, count) {
  let chains = [{ cut: 0, score: 0, entries: [] }];
  for (const part of parts) {
    chains = chains
      .flatMap(({ cut, score, entries }) =>
        part.slice(0, count).map((one) => ({
          cut: cut + !one.isFinished,
          score: score + one.score,
          entries: [...entries, one],
        })),
      )
      .sort((a, b) => a.cut - b.cut || b.score - a.score)
      .slice(0, count);
  }
  return chains.map(({ entries }) => entries);
}
