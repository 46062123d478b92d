// The simulated key as it lies on the desk: what it is, what its PIN is like, and what one can do
// with it between ceremonies.

import { byId, el, fill, icon } from "./dom.js";
import { keyOf, stateOf } from "./choices.js";

/** Shows the key, or what to expect from the browser's own way. */
export function showKey(simulation, choice, { powerCycle, replace }) {
  byId("screen").dataset.open = "false";
  if (choice.way === "browser") {
    fill(byId("dialog-place"), el("p", { class: "waiting", text: "Your own system shows its dialogs here in front of this page, once you register or sign in." }));
    return;
  }
  const key = simulation?.keys?.find((entry) => entry.key === choice.key && entry.state === choice.state);
  fill(byId("dialog-place"), el("div", { class: "desk", "data-testid": "desk" },
    el("div", { class: "key-art idle", "aria-hidden": "true" }, el("span", { class: "plug" }), el("span", { class: "contact" }, icon("touch")), el("span", { class: "hole" })),
    el("p", {}, el("b", { text: keyOf(choice.key)?.name ?? "" }), el("br"), el("span", { text: condition(key, choice) })),
    key && el("div", { class: "buttons" },
      el("button", { type: "button", class: "quiet", "data-testid": "power-cycle", on: { click: powerCycle }, text: "Unplug and plug in" }),
      el("button", { type: "button", class: "quiet", "data-testid": "replace", on: { click: replace }, text: "Take a fresh one" })),
    el("p", { class: "hint", text: "No dialog is open. Register or sign in, and the platform\u2019s dialog appears here." })));
}

function condition(key, choice) {
  if (!key) return `${stateOf(choice.state)?.name ?? ""}; not used yet`;
  const pin = key.pinSet ? `PIN set, ${key.pinRetries} tries left` : "no PIN";
  const credentials = key.credentials === 1 ? "1 discoverable credential" : `${key.credentials} discoverable credentials`;
  return `${pin}; ${credentials}`;
}
