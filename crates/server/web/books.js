// The relying party's accounts of this visitor, and the log of what was tried.

import { remove } from "./api.js";
import { announce, byId, clock, el, fill } from "./dom.js";
import { keyOf, platformOf, policyOf } from "./choices.js";
import { flag, stepWords } from "./steps.js";

const WAYS = { browser: "own key", simulation: "simulated key" };

/** Shows the accounts; `changed` is called after one was deleted. */
export function showAccounts(accounts, changed) {
  if (accounts.length === 0) {
    fill(byId("accounts"), el("p", { class: "hint", text: "Nobody is registered yet." }));
    return;
  }
  fill(byId("accounts"), accounts.map((account) => el("article", { class: "account" },
    el("header", {},
      el("h3", {}, el("span", { text: account.name }), el("small", { text: WAYS[account.way] })),
      el("button", {
        type: "button", class: "quiet", "aria-label": `Forget the account ${account.name} (${WAYS[account.way]})`,
        on: { click: async () => { await remove(`/api/accounts/${account.handle}`); announce("The account is forgotten."); changed(); } },
        text: "Forget",
      })),
    el("ul", {}, account.credentials.map((credential) => el("li", {},
      el("code", { text: `${credential.id.slice(0, 12)}\u2026` }),
      el("span", { text: credential.discoverable ? "discoverable" : credential.discoverable === false ? "not discoverable" : "discoverable?" }),
      el("span", { text: credential.uvInitialized ? "uvInitialized" : "UV not relied on" }),
      el("span", { text: `counter ${credential.signCount}` })))))));
}

/** Shows the log; a click opens the explanation again. */
export function showLog(ceremonies, open) {
  if (ceremonies.length === 0) {
    fill(byId("log"), el("li", { class: "hint", text: "Nothing yet." }));
    return;
  }
  fill(byId("log"), ceremonies.slice(0, 12).map((entry) => el("li", { data: { outcome: entry.outcome } },
    el("button", { type: "button", on: { click: () => open(entry.id) }, data: { testid: "log-entry" } },
      el("span", { class: "what" }, entry.ceremony === "registration" ? "Registration" : "Sign-in", ` \u201c${policyOf(entry.request?.policy)?.name ?? entry.request?.policy}\u201d`),
      el("span", { class: "how", text: how(entry) }),
      flag("UV", entry.userVerified, "user verified"),
      el("span", { class: "outcome", text: entry.code ? `${entry.outcome}: ${entry.code}` : entry.outcome }),
      el("time", { text: clock(entry.startedAt) })))));
}

function how(entry) {
  if (entry.way === "browser") return "this browser";
  const steps = (entry.steps ?? []).map(stepWords).join(", ");
  const where = [platformOf(entry.platform)?.name, keyOf(entry.key)?.name].filter(Boolean).join(", ");
  return [where, steps].filter(Boolean).join(": ");
}
