// The wire format of a SentencePiece model: fields of a message, as pairs of number and value.

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export const readText = (bytes) => decoder.decode(bytes);

// Yield the fields of a message: integers for numbers, and bytes for what has a length.
export function* readFields(bytes) {
  let position = 0;
  const readNumber = () => {
    let [value, factor] = [0, 1];
    for (;;) {
      const byte = bytes[position++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      factor *= 128;
      if (byte === undefined || factor > 2 ** 70) throw new Error("the vocabulary is damaged");
    }
  };
  while (position < bytes.length) {
    const key = readNumber();
    const number = Math.floor(key / 8);
    const kind = key % 8;
    if (kind === 0) {
      yield [number, readNumber()];
      continue;
    }
    const sizes = { 1: () => 8, 2: readNumber, 5: () => 4 };
    if (!sizes[kind]) throw new Error("the vocabulary is damaged");
    const size = sizes[kind]();
    if (position + size > bytes.length) throw new Error("the vocabulary is damaged");
    yield [number, bytes.subarray(position, position + size)];
    position += size;
  }
}

export const readFloat = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true);
