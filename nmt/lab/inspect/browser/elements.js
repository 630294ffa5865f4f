/* ---- elements, numbers, tokens ---- */

export const dark = matchMedia("(prefers-color-scheme: dark)");

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function shape(tag, attributes = {}, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

export const number = (value, digits = 2) => value.toFixed(digits).replace("-", "−");
export const percent = p => p >= 0.9995 ? "100%" : p >= 0.1 ? `${number(100 * p, 0)}%` : `${number(100 * p, 1)}%`;
export const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
export const bare = piece => piece.length > 1 && piece.startsWith("▁") ? piece.slice(1) : piece;
export const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/* A token whose mark of a word's beginning is dimmed. */
export function spell(piece) {
  return piece.startsWith("▁") ? [make("i", {}, "▁"), piece.slice(1)] : [piece];
}

/* ---- colour scales: sequential from 0 to 1, diverging for signed values ---- */

const RAMPS = {
  light: {
    gate: ["#f6f3ec", "#cfe3dc", "#7fbfb5", "#2f8f93", "#14546b", "#0b2740"],
    signed: ["#7a2e0e", "#d9793a", "#f4d9bf", "#f6f3ec", "#bcd7e6", "#4a93c0", "#153f66"],
  },
  dark: {
    gate: ["#1a2027", "#173f4c", "#1c6470", "#2fa08f", "#8ed6a3", "#f4f7c7"],
    signed: ["#ffc79a", "#d0672a", "#5f311b", "#1a2027", "#173d56", "#2f86be", "#b4e1ff"],
  },
};
export const LEVELS = 255;

export function mixed(stops, share) {
  const at = clamp(share, 0, 1) * (stops.length - 1), first = Math.min(Math.floor(at), stops.length - 2);
  const channel = (stop, start) => parseInt(stop.slice(start, start + 2), 16);
  const mix = start => Math.round(channel(stops[first], start) * (1 - at + first)
    + channel(stops[first + 1], start) * (at - first));
  return `rgb(${mix(1)},${mix(3)},${mix(5)})`;
}

export const ramp = low => RAMPS[dark.matches ? "dark" : "light"][low < 0 ? "signed" : "gate"];
export const palette = low => Array.from({ length: LEVELS + 1 }, (_, level) => mixed(ramp(low), level / LEVELS));

/* ---- keys ---- */

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], PageUp: [-10, 0],
  PageDown: [10, 0], Home: [0, -1e6], End: [0, 1e6] };

/* Calls `move(rows, columns)` for the arrow keys and their like. */
export function listen(element, move) {
  element.addEventListener("keydown", event => {
    const step = STEPS[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    move(...step);
  });
}
