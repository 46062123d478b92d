// Why the PIN was or was not asked, what the relying party concluded, and the exchange in full.

import { byId, el, fill, icon } from "./dom.js";
import { flag, mark, stepWords, track } from "./steps.js";

const PARTIES = { site: "Site", platform: "Platform", key: "Key", person: "Person" };

/** Before anything is run: what the comparison says about the chosen platform. */
export function showPrediction(row, choice) {
  if (!row) {
    fill(byId("result-body"), el("p", { class: "lead", text: "Run a ceremony, and this explains who asked for what, and why." }));
    return;
  }
  const what = choice.compare === "registration" ? "Registering" : "Signing in";
  fill(byId("result-body"),
    el("p", { class: "lead" }, el("b", { text: `${what} would go like this.` }), " ", el("span", { text: headline(row.report) })),
    track(row.report),
    chain(row.report.reasons));
}

/** One sentence about the PIN. */
export function headline(report) {
  const has = (step) => report.steps.includes(step);
  if (report.ended === "loop") return "The dialogs repeat for ever; the person never gets in.";
  if (report.ended === "hang") return "Nothing more is shown, and it never ends.";
  if (report.ended === "unknown") return "Nobody has shown what this platform does here.";
  if (has("create-pin")) return "A PIN has to be created first.";
  if (has("change-pin")) return "The PIN has to be changed first.";
  if (has("enter-pin")) return "The PIN is asked.";
  if (has("fingerprint")) return "A fingerprint is asked, no PIN.";
  if (report.ended === "error") return "No PIN is asked, and it fails.";
  return "No PIN is asked; a touch is enough.";
}

/** The chain of reasons. */
function chain(reasons) {
  return el("ol", { class: "chain", "data-testid": "reasons" }, (reasons ?? []).map((reason) => el("li", { data: { who: reason.who } },
    el("span", { class: "party-name", text: PARTIES[reason.who] ?? reason.who }),
    el("div", {},
      el("p", { text: reason.fact }),
      el("p", { class: "source" }, mark(reason.certainty), " ", reference(reason.reference))))));
}

/** The source of a claim; a link where it is one. */
function reference(text) {
  const parts = String(text ?? "").split(/(https:\/\/[^\s)]+)/);
  return el("span", { class: "reference" }, parts.map((part) => (part.startsWith("https://")
    ? el("a", { href: part, rel: "noreferrer noopener", target: "_blank", text: part.replace(/^https:\/\/(www\.)?/, "") })
    : part)));
}

/** After a ceremony: everything. */
export function showResult(ceremony) {
  const report = ceremony.client?.report;
  const verdict = ceremony.verdict;
  const reasons = report?.reasons ?? ceremony.explanation;
  fill(byId("result-body"),
    el("p", { class: "lead", "data-testid": "headline" }, el("b", { text: title(ceremony) }), " ",
      el("span", { text: report ? headline(report) : nativeHeadline(ceremony) })),
    report && track(report),
    reasons && chain(reasons),
    verdict && conclusion(verdict, ceremony));
  showExchange(ceremony);
}

function title(ceremony) {
  const what = ceremony.ceremony === "registration" ? "Registration" : "Sign-in";
  return { accepted: `${what} accepted.`, refused: `${what} refused.`, failed: `${what} failed.`, expired: `${what} expired.` }[ceremony.outcome] ?? `${what} is open.`;
}

function nativeHeadline(ceremony) {
  const verified = ceremony.userVerified;
  if (verified === true) return "The key verified the person.";
  if (verified === false) return "The person was not verified; a touch was enough.";
  return "No credential came back.";
}

/** What the relying party made of it. */
function conclusion(verdict, ceremony) {
  const flags = verdict.decoded?.flags;
  const inner = verdict.verdict ?? {};
  const initialized = inner.uvInitialized;
  return el("section", { class: "verdict", data: { accepted: String(verdict.accepted), testid: "verdict" } },
    el("h3", {}, icon(verdict.accepted ? "ok" : "error"), el("span", { text: verdict.accepted ? "The relying party accepts" : ceremony.outcome === "failed" ? "The relying party got no answer" : "The relying party refuses" })),
    el("div", { class: "flags" },
      flag("UP", flags?.userPresent, "user present"),
      flag("UV", flags?.userVerified, "user verified"),
      flag("BE", flags?.backupEligible, "backup eligible"),
      flag("BS", flags?.backupState, "backed up"),
      verdict.code && el("code", { class: "code", "data-testid": "code", text: verdict.code })),
    el("p", { class: "help", "data-testid": "help", text: verdict.help ?? "" }),
    verdict.detail && el("p", { class: "detail", text: verdict.detail }),
    initialized !== undefined && el("p", { class: "detail", text: initialized
      ? "uvInitialized is true: later UV flags of this credential may be relied on."
      : "uvInitialized is false: a UV flag of this credential is not a factor yet." }),
    verdict.checks?.length > 0 && el("details", { class: "checks" },
      el("summary", { text: `${verdict.checks.filter((c) => c.result === "passed").length} of ${verdict.checks.length} checks passed` }),
      el("ul", {}, verdict.checks.map((check) => el("li", { data: { result: check.result } },
        icon({ passed: "ok", failed: "error" }[check.result] ?? "unknown"),
        el("span", { text: check.label }), check.result === "skipped" && el("small", { text: " not reached" }))))));
}

/** The exchange in expandable sections. */
function showExchange(ceremony) {
  const decoded = ceremony.verdict?.decoded;
  const messages = ceremony.client?.exchange ?? [];
  const parts = [
    section("What the site sent", ceremony.ceremony === "registration" ? "PublicKeyCredentialCreationOptions" : "PublicKeyCredentialRequestOptions", tree(ceremony.options)),
    ...messages.map((message, index) => section(`${index + 1}. ${message.request?.command ?? "message"}`, summaryOf(message), exchangeOf(message), message)),
    decoded?.clientData && section("Client data", "what the key signed: challenge and origin", tree(decoded.clientData)),
    decoded?.authenticatorData && section("Authenticator data", decoded.attestationFormat ? `attestation \u201c${decoded.attestationFormat}\u201d` : "what the key says", tree(decoded.authenticatorData)),
    decoded?.extensions && Object.keys(decoded.extensions).length > 0 && section("Extension results", "", tree(decoded.extensions)),
    ceremony.client?.failure && section("What the page was told", ceremony.client.failure.name, el("p", { text: ceremony.client.failure.reason })),
  ];
  fill(byId("exchange-body"), parts);
  byId("exchange").hidden = false;
}

function section(title, sub, content, message) {
  const failed = message && !String(message.response?.status ?? "").endsWith("_OK");
  return el("details", { class: "part", data: { failed: String(Boolean(failed)) } },
    el("summary", {}, el("span", { class: "part-title", text: title }), el("span", { class: "part-sub", text: sub ?? "" })), content);
}

function summaryOf(message) {
  const sub = message.request?.parameters?.subCommand;
  const status = message.response?.status ?? "no answer";
  return [sub && String(sub).replace(/ \(0x.*/, ""), `\u2192 ${status}`].filter(Boolean).join(" ");
}

function exchangeOf(message) {
  return el("div", { class: "two" },
    el("div", {}, el("h4", { text: "to the key" }), tree(message.request?.parameters ?? message.request ?? {})),
    el("div", {}, el("h4", { text: "from the key" }), message.response?.meaning && el("p", { class: "hint", text: message.response.meaning }), tree(message.response?.members ?? { status: message.response?.status })));
}

/** A JSON value as a list of names and values. */
function tree(value) {
  if (value === null || value === undefined) return el("span", { class: "v none", text: "absent" });
  if (typeof value !== "object") return el("span", { class: `v ${typeof value}`, text: String(value) });
  if (Array.isArray(value) && value.length === 0) return el("span", { class: "v none", text: "none" });
  if (Array.isArray(value) && value.every((entry) => entry !== null && typeof entry !== "object")) {
    return el("span", { class: "v list", text: value.join(", ") });
  }
  const entries = Array.isArray(value) ? value.map((entry, index) => [index, entry]) : Object.entries(value);
  if (entries.length === 0) return el("span", { class: "v none", text: "empty" });
  return el("dl", { class: "tree" }, entries.map(([name, entry]) => [
    el("dt", { text: String(name) }), el("dd", {}, tree(entry)),
  ]));
}

/** While a dialog is open: the steps so far, and what is expected. */
export function showRunning(simulation, row) {
  const steps = simulation.steps ?? [];
  fill(byId("result-body"),
    el("p", { class: "lead" }, el("b", { text: "Under way." }), " ", el("span", { text: steps.length ? `So far: ${steps.map(stepWords).join(", ")}.` : "Answer the dialog as a person would." })),
    row && el("div", { class: "expected" }, el("h3", { class: "eyebrow", text: "What to expect here" }), track(row.report), chain(row.report.reasons)));
}

/** The answer to the question at the top, for the choice as it is. */
export function showAnswer(row, choice) {
  if (!row || choice.way === "browser") {
    fill(byId("answer"));
    return;
  }
  const what = choice.compare === "registration" ? "Registering" : "Signing in";
  fill(byId("answer"), `${what} on ${row.platform.name.replace(/ \(.*\)$/, "")}: `, el("strong", { data: { ended: row.report.ended, pin: String(row.report.steps.some((step) => step.endsWith("-pin"))) }, text: headline(row.report) }));
}
