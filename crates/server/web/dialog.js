// The simulated system dialog: what the chosen platform would show, answered here.

import { byId, el, fill, icon } from "./dom.js";
import { platformOf } from "./choices.js";

/** Shows the dialog of a simulation, or that none is open. `answer` sends an input. */
export function showDialog(simulation, answer) {
  const place = byId("dialog-place");
  const prompt = simulation?.prompt;
  byId("screen").dataset.open = String(Boolean(prompt));
  if (!prompt) return;
  const form = shape(prompt, simulation, answer);
  const platform = platformOf(simulation.platform)?.name ?? simulation.platform;
  const box = el("div", {
    class: "dialog", role: "dialog", "aria-labelledby": "dialog-title", "aria-describedby": "dialog-text",
    data: { testid: "dialog", prompt: prompt.prompt, number: simulation.number },
    on: { keydown: (event) => { if (event.key === "Escape") answer({ input: { input: "cancel" } }); } },
  },
  el("p", { class: "simulated", "data-testid": "simulated-note" }, el("b", { text: "Simulation" }), " of a system dialog on ", el("span", { text: platform })),
  form);
  fill(place, box);
  const first = box.querySelector("[data-first]") ?? box.querySelector("input, button");
  first?.focus({ preventScroll: true });
  box.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

function shape(prompt, simulation, answer) {
  switch (prompt.prompt) {
    case "touch": return touch(prompt, answer);
    case "insert-key": return insert(answer);
    case "enter-pin": return enterPin(prompt, answer);
    case "create-pin": return createPin(prompt, answer);
    case "change-pin": return changePin(prompt, answer);
    case "fingerprint": return finger(prompt, answer);
    case "enroll-fingerprint": return enrol(prompt, answer);
    case "pick-account": return pickAccount(prompt, answer);
    default: return message(prompt, answer);
  }
}

/** A dialog: title, text, content, buttons. The first button is what Enter does. */
function frame({ title, text, kind, error }, content, buttons, submit) {
  return el("form", {
    novalidate: true, autocomplete: "off",
    on: { submit: (event) => { event.preventDefault(); submit?.(event.target); } },
  },
  el("h3", { id: "dialog-title" }, icon(kind), el("span", { text: title })),
  el("p", { id: "dialog-text", text }),
  el("p", { class: "error", role: "alert", "data-testid": "dialog-error", text: error || "" }),
  content,
  el("div", { class: "buttons" }, buttons));
}

const cancel = (answer) => el("button", { type: "button", class: "quiet", "data-testid": "dialog-cancel", on: { click: () => answer({ input: { input: "cancel" } }) }, text: "Cancel" });
const notNow = (answer) => el("button", { type: "button", class: "quiet", "data-testid": "dialog-not-now", on: { click: () => answer({ input: { input: "not-now" } }) }, text: "Not now" });
const go = (text) => el("button", { type: "submit", class: "primary", "data-testid": "dialog-ok", text });

function pinField(label, testid, first) {
  return el("label", { class: "field" }, el("span", { text: label }),
    el("input", { type: "password", "data-testid": testid, "data-first": first, autocomplete: "off", spellcheck: "false" }));
}

const value = (form, testid) => form.querySelector(`[data-testid="${testid}"]`)?.value ?? "";

/** The key itself: its gold contact is the button. */
function keyArt(label, testid, onTouch) {
  return el("div", { class: "key-art" },
    el("span", { class: "plug", "aria-hidden": "true" }),
    el("button", { type: "button", class: "contact", "data-first": true, "data-testid": testid, "aria-label": label, on: { click: onTouch } }, icon(testid === "dialog-finger" ? "fingerprint" : "touch")),
    el("span", { class: "hole", "aria-hidden": "true" }));
}

function touch(prompt, answer) {
  const purpose = { "select": "to choose it", "register": `to register with ${prompt.rp_id}`, "sign-in": `to sign in to ${prompt.rp_id}` }[prompt.purpose] ?? "";
  return frame({ kind: "touch", title: "Touch your security key", text: `Touch the gold contact ${purpose}.` },
    keyArt("Touch the key", "dialog-touch", () => answer({ touch: true })), [cancel(answer)]);
}

function insert(answer) {
  return frame({ kind: "touch", title: "Insert your security key", text: "No key is plugged in." }, null, [cancel(answer)]);
}

function tries(retries) {
  if (retries === null || retries === undefined) return "";
  return retries === 1 ? "1 try is left before the key is blocked." : `${retries} tries are left before the key is blocked.`;
}

function enterPin(prompt, answer) {
  const error = prompt.previous_wrong ? `Wrong PIN. ${tries(prompt.retries)}` : (prompt.words ?? "");
  const text = prompt.previous_wrong ? "Enter the PIN of your security key." : `Enter the PIN of your security key. ${tries(prompt.retries)}`;
  return frame({ kind: "enter-pin", title: "PIN required", text, error },
    pinField("PIN", "dialog-pin", true), [go("OK"), cancel(answer)],
    (form) => answer({ input: { input: "pin", pin: value(form, "dialog-pin") } }));
}

function rules(policy, bytes) {
  return `At least ${policy.min_length ?? 4} characters, at most ${bytes} bytes. Letters and digits are both fine.`;
}

function twice(form, send) {
  if (value(form, "dialog-new-pin") === value(form, "dialog-repeat-pin")) return send(value(form, "dialog-new-pin"));
  form.querySelector('[role="alert"]').textContent = "The two entries differ.";
  form.querySelector('[data-testid="dialog-repeat-pin"]').focus();
  return undefined;
}

function createPin(prompt, answer) {
  return frame({ kind: "create-pin", title: "Set up a PIN for your security key", text: `Your key has no PIN yet. ${rules(prompt.policy, prompt.max_bytes)}`, error: (prompt.words ?? "") },
    [pinField("New PIN", "dialog-new-pin", true), pinField("The same again", "dialog-repeat-pin")],
    [go("Set PIN"), prompt.optional && notNow(answer), cancel(answer)],
    (form) => twice(form, (pin) => answer({ input: { input: "new-pin", pin } })));
}

function changePin(prompt, answer) {
  const error = prompt.previous_wrong ? `Wrong old PIN. ${tries(prompt.retries)}` : (prompt.words ?? "");
  return frame({ kind: "change-pin", title: "Change the PIN of your security key", text: `The key demands a new PIN. ${rules(prompt.policy, prompt.max_bytes)}`, error },
    [prompt.old_known ? null : pinField("Old PIN", "dialog-old-pin", true),
      pinField("New PIN", "dialog-new-pin", prompt.old_known), pinField("The same again", "dialog-repeat-pin")],
    [go("Change PIN"), cancel(answer)],
    (form) => twice(form, (pin) => answer({
      input: { input: "change-pin", new: pin, old: prompt.old_known ? null : value(form, "dialog-old-pin") },
    })));
}

function finger(prompt, answer) {
  return frame({ kind: "fingerprint", title: "Touch the sensor", text: `Put your finger on the key to go on with ${prompt.rp_id}.`, error: prompt.previous_wrong ? `Not recognised. ${tries(prompt.retries)}` : "" },
    keyArt("Put the right finger on the sensor", "dialog-finger", () => answer({ finger: "match" })),
    [el("button", { type: "button", class: "quiet", "data-testid": "dialog-wrong-finger", on: { click: () => answer({ finger: "no-match" }) }, text: "A wrong finger" }), cancel(answer)]);
}

function enrol(prompt, answer) {
  const left = prompt.remaining ? ` ${prompt.remaining} more.` : "";
  return frame({ kind: "enroll-fingerprint", title: "Enrol a finger", text: `Put the same finger on the sensor again and again.${left}` },
    keyArt("Put the finger on the sensor", "dialog-finger", () => answer({ finger: "match" })), [notNow(answer), cancel(answer)]);
}

function pickAccount(prompt, answer) {
  return frame({ kind: "pick-account", title: "Choose an account", text: "The key has more than one account for this site." },
    el("ul", { class: "choices" }, prompt.accounts.map((account, index) => el("li", {},
      el("button", { type: "button", "data-testid": `dialog-account-${index}`, on: { click: () => answer({ input: { input: "account", index } }) } },
        el("b", { text: account.name ?? `Account ${index + 1}` }), account.display_name && account.display_name !== account.name && el("span", { text: account.display_name }))))),
    [cancel(answer)]);
}

function message(prompt, answer) {
  return frame({ kind: "error", title: "Something to know", text: prompt.text ?? "" }, null, [cancel(answer)]);
}
