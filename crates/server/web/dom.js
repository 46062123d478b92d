// Small helpers for building the page. Text goes in as text nodes only: names come from keys and
// other people, and the content security policy refuses markup from strings anyway.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Makes an element. `attributes` may hold `class`, `text`, `on` (event handlers by name), `data`
 * and any attribute; true sets an empty one, false, null and undefined set none.
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else if (name === "data") for (const [key, entry] of Object.entries(value)) node.dataset[key] = entry;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An icon of the sprite in the page. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export const byId = (id) => document.getElementById(id);

/** Replaces what is in a place. */
export function fill(place, ...children) {
  place.replaceChildren(...children.flat(Infinity).filter(Boolean));
}

/** Says something to screen readers. */
export function announce(text) {
  const live = byId("live");
  live.textContent = "";
  // A change after a tick is read even if the words are the same as before.
  setTimeout(() => { live.textContent = text; }, 50);
}

/** Time of day for the log. */
export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}
