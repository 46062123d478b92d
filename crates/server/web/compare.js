// The comparison: the same request, the same key, every platform. Before and after the update stand
// side by side, the others below.

import { get } from "./api.js";
import { byId, el, fill } from "./dom.js";
import { flag, mark, spoken, track } from "./steps.js";

const BEFORE = "windows-11-before-kb5065789";
const AFTER = "windows-11-after-kb5068861";

let latest = 0;
let rows = [];

/** Runs the comparison for a choice and shows it; gives the row of the chosen platform. */
export async function compare(choice, picked) {
  const turn = ++latest;
  const query = new URLSearchParams({
    ceremony: choice.compare, policy: choice.policy, discoverable: choice.discoverable,
    key: choice.key, state: choice.state,
  });
  byId("comparison").setAttribute("aria-busy", "true");
  try {
    const answer = await get(`/api/comparison?${query}`);
    if (turn !== latest) return undefined;
    rows = answer.rows;
  } finally {
    if (turn === latest) byId("comparison").removeAttribute("aria-busy");
  }
  show(choice, picked);
  return rows.find((row) => row.platform.id === choice.platform);
}

function show(choice, picked) {
  const find = (id) => rows.find((row) => row.platform.id === id);
  const before = find(BEFORE);
  const after = find(AFTER);
  fill(byId("pair"),
    before && card(before, "Before KB5065789", "until September 2025", choice, picked),
    before && after && verdict(before, after),
    after && card(after, "After KB5068861", "since November 2025", choice, picked));
  const others = rows.filter((row) => ![BEFORE, AFTER].includes(row.platform.id));
  fill(byId("others"), others.map((row) => line(row, choice, picked)));
}

/** One side of the story. */
function card(row, title, when, choice, picked) {
  return el("article", { class: "card", data: { ended: row.report.ended, testid: `compare-${row.platform.id}` } },
    el("h3", {}, el("span", { class: "eyebrow", text: "Windows 11 24H2 / 25H2" }), title, el("small", { text: when })),
    track(row.report),
    facts(row),
    el("p", { class: "because", text: because(row) }),
    pick(row, choice, picked));
}

/** What stands between the two. */
function verdict(before, after) {
  const same = spoken(before.report) === spoken(after.report);
  const created = after.report.steps.includes("create-pin") && !before.report.steps.includes("create-pin");
  const words = same ? "no difference here" : created ? "now a PIN is created" : "different";
  return el("p", { class: "between", data: { same: String(same) } },
    el("span", { class: "sign", "aria-hidden": "true", text: same ? "=" : "\u2260" }), el("span", { text: words }));
}

function line(row, choice, picked) {
  return el("details", { class: "line", data: { ended: row.report.ended, testid: `compare-${row.platform.id}` } },
    el("summary", {},
      el("span", { class: "platform-name", text: row.platform.name }),
      track(row.report, { small: true }),
      facts(row)),
    el("div", { class: "more" },
      row.failure && el("p", { class: "failure" }, el("code", { text: row.failure.name }), ` ${row.failure.reason}`),
      el("p", { class: "because", text: because(row) }),
      pick(row, choice, picked)));
}

function facts(row) {
  return el("div", { class: "facts" },
    flag("UV", row.report.uv, "user verified"),
    row.certainty && mark(row.certainty));
}

/** What is particular to this platform, or else the last link of the chain. */
function because(row) {
  const reasons = row.report.reasons;
  const own = reasons.filter((reason) => reason.who === "platform" && reason.certainty !== "specification");
  return (own.at(-1) ?? reasons.at(-1))?.fact ?? "";
}

function pick(row, choice, picked) {
  const current = row.platform.id === choice.platform && choice.way === "simulation";
  return el("button", {
    type: "button", class: "pick", "aria-pressed": String(current),
    on: { click: () => picked(row.platform.id) },
    text: current ? "This is the platform chosen above" : "Try it yourself on this platform",
  });
}
