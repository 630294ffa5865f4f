// The worker in which translations are made: loads the model, then translates the lines of each text it gets.
//
// In: { id, text, nBest }; a text that follows ends the work on the one before. Out: { type: "ready" },
// { type: "line", id, index, candidates }, { type: "done", id, milliseconds }, { type: "error", message }.

import * as ort from "./runtime/ort.js";
import startSentencex, { segment } from "./runtime/sentencex.js";
import { OnnxModel } from "./model.js";
import { Translator } from "./translator.js";

const REMEMBERED = 500; // lines
const channel = new MessageChannel();
const remembered = new Map();
let latest = null; // the id of the last text

const loading = load();
loading.then(
  () => postMessage({ type: "ready" }),
  (error) => postMessage({ type: "error", message: String(error?.message ?? error) }),
);

onmessage = async ({ data }) => {
  latest = data.id;
  try {
    await translateText(await loading, data);
  } catch (error) {
    if (latest === data.id) postMessage({ type: "error", id: data.id, message: String(error?.message ?? error) });
  }
};

async function translateText(translator, { id, text, nBest }) {
  const start = performance.now();
  for (const [index, line] of text.split("\n").entries()) {
    const candidates = await translateLine(translator, line, nBest, id);
    if (!candidates) return;
    postMessage({ type: "line", id, index, candidates });
  }
  postMessage({ type: "done", id, milliseconds: performance.now() - start });
}

// The translations of a line; null if another text has come.
async function translateLine(translator, line, nBest, id) {
  const key = `${nBest} ${line}`;
  const isOutdated = async () => {
    await receiveMessages();
    return latest !== id;
  };
  if (await isOutdated()) return null;
  const options = { nBest: Math.min(nBest, translator.options.beam) };
  const candidates = remembered.get(key) ?? (await translator.translate(line, options, isOutdated));
  if (!candidates) return null;
  remembered.delete(key);
  remembered.set(key, candidates);
  if (remembered.size > REMEMBERED) remembered.delete(remembered.keys().next().value);
  return candidates;
}

// Let the messages be received that are waiting.
function receiveMessages() {
  return new Promise((resolve) => {
    channel.port1.onmessage = resolve;
    channel.port2.postMessage(null);
  });
}

async function load() {
  const starting = Promise.all([read("runtime/ort.wasm.gz"), read("runtime/sentencex.wasm.gz")]);
  const graphs = ["encoder", "step"].map((name) => read(`model/${name}.onnx`));
  const config = await readJson("model/config.json");
  const files = await readFiles(config);
  const [ortBinary, sentencexBinary] = await starting;
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = ortBinary;
  ort.env.wasm.wasmPaths = { mjs: new URL("runtime/ort-wasm.js", import.meta.url).href };
  await startSentencex({ module_or_path: sentencexBinary });
  const sessions = [];
  for (const graph of graphs) sessions.push(await ort.InferenceSession.create(await graph));
  const translator = new Translator(new OnnxModel(ort, ...sessions, config), files, segment);
  // The first run compiles what it uses: unless a text is waiting, that is done now.
  if (latest === null) await translator.translate(".", { beam: 2, maxRatio: 1, maxExtra: 0 });
  return translator;
}

async function readFiles(config) {
  const checksums = await readJson("model/checksums.json");
  const readOptional = (name) => (name in checksums ? readJson(`model/${name}`) : null);
  const [text, kinds, lengths] = await Promise.all([
    readJson("text.json"),
    readOptional("protection.json"),
    readOptional("lengths.json"),
  ]);
  const [source, target] = await Promise.all(config.vocabularies.map((name) => read(`model/${name}`)));
  return { config, text, kinds, lengths, source, target };
}

// The bytes of a file, decompressed if it is compressed: some servers do that themselves.
async function read(name) {
  const reply = await fetch(new URL(name, import.meta.url));
  if (!reply.ok) throw new Error(`${name}: the server answered ${reply.status}`);
  const bytes = new Uint8Array(await reply.arrayBuffer());
  if (!(bytes[0] === 0x1f && bytes[1] === 0x8b)) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function readJson(name) {
  return JSON.parse(new TextDecoder().decode(await read(name)));
}
