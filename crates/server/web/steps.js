// Steps as pins in a lock: what a person had to do, from left to right along the shear line, and
// how it ended.

import { el, icon } from "./dom.js";

const WORDS = {
  "touch": "touch",
  "enter-pin": "enter PIN",
  "create-pin": "create a PIN",
  "change-pin": "change PIN",
  "fingerprint": "fingerprint",
  "enroll-fingerprint": "enrol finger",
  "pick-account": "pick account",
  "u2f": "U2F",
};

const ENDS = {
  ok: "done",
  error: "fails",
  loop: "never ends: a loop",
  hang: "hangs",
  unknown: "not known",
};

/** The words for one step. */
export const stepWords = (step) => WORDS[step] ?? step;

/** A sentence for screen readers: "create a PIN, touch; done". */
export function spoken(report) {
  const steps = report.steps.map(stepWords).join(", ") || "nothing to do";
  return `${steps}; ${ENDS[report.ended] ?? report.ended}`;
}

/** The sequence as a picture. Repetitions of a loop are shown twice and then as a loop. */
export function track(report, { small = false } = {}) {
  const shown = report.ended === "loop" ? report.steps.slice(0, 4) : report.steps;
  const pins = shown.map((step) => el("li", { class: "pin", data: { step } },
    el("span", { class: "barrel" }, icon(step)),
    el("span", { class: "name", text: stepWords(step) })));
  const end = el("li", { class: "end", data: { ended: report.ended } },
    el("span", { class: "barrel" }, icon(report.ended)),
    el("span", { class: "name", text: ENDS[report.ended] ?? report.ended }));
  return el("ol", { class: small ? "lock small" : "lock", "aria-label": spoken(report), data: { ended: report.ended } }, pins, end);
}

/** A flag of authenticator data. */
export function flag(name, set, title) {
  const state = set === null || set === undefined ? "none" : String(set);
  const words = state === "none" ? "no answer" : set ? "set" : "not set";
  return el("span", { class: "flag", data: { set: state, flag: name }, title: `${title}: ${words}` },
    el("b", { text: name }),
    el("span", { text: state === "none" ? "\u2013" : set ? "1" : "0" }),
    el("span", { class: "away", text: ` (${title}: ${words})` }));
}

/** How sure a statement is. */
export function mark(certainty) {
  return el("span", { class: "mark-key", data: { certainty }, text: certainty });
}
