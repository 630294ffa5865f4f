/* ---- what the page asks of the server; another place to translate offers the same functions ---- */

import { stored, store } from "./storage.js";

/* An answer that is no translation. `kind` is "gone", "busy", "long", "key" or "failed". */
export class ServerError extends Error {
  constructor(kind, message, seconds = 0) {
    super(message);
    [this.kind, this.seconds] = [kind, seconds];
  }
}

const KINDS = { 401: "key", 403: "key", 413: "long", 429: "busy", 502: "gone", 503: "busy" };

async function ask(path, body, signal) {
  const key = stored("key", "");
  const headers = { ...body && { "Content-Type": "application/json" }, ...key && { Authorization: `Bearer ${key}` } };
  let answer;
  try {
    answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("gone", "");
  }
  if (answer.ok) return answer.json();
  const kind = KINDS[answer.status] ?? "failed";
  throw new ServerError(kind, await message(answer), Number(answer.headers.get("Retry-After")) || 1);
}

async function message(answer) {
  try {
    const { error } = await answer.json();
    return [error.where && `${error.where}: `, error.what, error.advice && `; ${error.advice}`].filter(Boolean).join("");
  } catch {
    return answer.statusText;
  }
}

/* A text without halves of characters, which no server reads. */
const wellFormed = text => text.toWellFormed?.() ?? text;

export const useKey = key => store("key", key);

/* The models, each with `name`, `source`, `target` and `explains`, and the most characters of a text, if known. */
export async function listModels() {
  const { models, limits } = await ask("v1/models");
  return { models, characters: limits?.characters ?? Infinity };
}

/* The translations of lines, in order: `text` and `notes`. */
export async function translate({ model, lines, prefix, glossary }, signal) {
  const { translations } = await ask("v1/translate", { model, text: lines.map(wellFormed), ...prefix && { prefix }, ...glossary && { glossary } }, signal);
  return translations;
}

/* For a word of a translation: `source`, the parts of the line with their weights, and `alternatives`. */
export const alternatives = (request, signal) => ask("v1/alternatives", request, signal);

/* The trace of a line, as the figures read it. */
export const inside = (request, signal) => ask("v1/inside", request, signal);
