/* ---- the words of a translation ---- */

const UNSPACED = /^(zh|ja|th|lo|km|my)\b/;

/* The words and the spaces of a text, each with the text before it. */
export function splitWords(text, language) {
  const parts = UNSPACED.test(language) && Intl.Segmenter
    ? [...new Intl.Segmenter(language, { granularity: "word" }).segment(text)].map(({ segment }) => segment)
    : text.split(/(\s+)/);
  let before = "";
  return parts.filter(Boolean).map(word => {
    const found = { before, word, space: !word.trim() };
    before += word;
    return found;
  });
}

/* Which words of two texts are not in both in the same order: the longest common subsequence is not. */
export function differences(first, second) {
  const longest = Array.from({ length: first.length + 1 }, () => new Int32Array(second.length + 1));
  for (let i = first.length - 1; i >= 0; i--)
    for (let j = second.length - 1; j >= 0; j--)
      longest[i][j] = first[i] === second[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
  const differ = [first.map(() => true), second.map(() => true)];
  for (let i = 0, j = 0; i < first.length && j < second.length;) {
    if (first[i] === second[j]) differ[0][i++] = differ[1][j++] = false;
    else if (longest[i + 1][j] >= longest[i][j + 1]) i++;
    else j++;
  }
  return differ;
}
