// What the visitor has chosen: the form, and the same in the address (after #), so that a choice
// can be shared as a link.

import { byId, el, fill } from "./dom.js";

const FORM = byId("request");
const FIELDS = ["way", "policy", "discoverable", "name", "key", "state", "platform", "compare"];

let lists = { platforms: [], keys: [], states: [], policies: [] };

/** Fills the form with what the service offers, then with what the address says. */
export function offer(choices, changed) {
  lists = choices;
  fill(byId("policies"), policySegments(choices.policies.filter((policy) => policy.main)));
  fill(byId("more-policies"), policySegments(choices.policies.filter((policy) => !policy.main)));
  fill(byId("key"), choices.keys.map(option));
  fill(byId("platform"), choices.platforms.map((platform) => option({ ...platform, name: shortName(platform) })));
  select(byId("platform"), choices.platform);
  select(byId("key"), choices.key);
  offerStates();
  readAddress();
  describe();
  document.addEventListener("change", (event) => {
    const ours = FORM.contains(event.target) || event.target.name === "compare";
    if (!ours) return;
    if (event.target.id === "key") offerStates();
    describe();
    writeAddress();
    changed(chosen());
  });
  window.addEventListener("hashchange", () => {
    readAddress();
    describe();
    changed(chosen());
  });
}

/** Without the versions, which would be cut off; the dialogs and the comparison have them. */
const shortName = (platform) => platform.name.replace(/ \([\d., ]+\)$/, "").replace(" 24H2/25H2", "");

function option(entry) {
  return el("option", { value: entry.id, text: entry.name });
}

function policySegments(policies) {
  return policies.map((policy) => el("label", { class: policy.main ? "segment" : "segment extra" },
    el("input", {
      type: "radio", name: "policy", value: policy.id, checked: policy.id === "if-set",
      "data-testid": `policy-${policy.id}`, "aria-describedby": "policy-help",
    }),
    el("span", { text: policy.name })));
}

/** The conditions that the chosen model can be in. */
function offerStates() {
  const select = byId("key-state");
  const before = select.value;
  const key = lists.keys.find((entry) => entry.id === byId("key").value);
  const possible = lists.states.filter((state) => !key || key.states.includes(state.id));
  fill(select, possible.map(option));
  if (possible.some((state) => state.id === before)) select.value = before;
}

const radio = (name) => document.querySelector(`input[name="${name}"]:checked`)?.value;

/** The choice as a plain object. */
export function chosen() {
  return {
    way: radio("way"),
    policy: radio("policy"),
    discoverable: byId("discoverable").checked,
    name: byId("user-name").value.trim(),
    key: byId("key").value,
    state: byId("key-state").value,
    platform: byId("platform").value,
    compare: radio("compare"),
  };
}

/** Sets parts of the choice; what is not offered is passed over. */
export function choose(parts) {
  for (const name of ["way", "policy", "compare"]) {
    const input = document.querySelector(`input[name="${name}"][value="${CSS.escape(parts[name] ?? "")}"]`);
    if (input) input.checked = true;
  }
  if ("discoverable" in parts) byId("discoverable").checked = parts.discoverable === true || parts.discoverable === "true";
  if (parts.name) byId("user-name").value = String(parts.name).slice(0, 64);
  select(byId("key"), parts.key);
  offerStates();
  select(byId("key-state"), parts.state);
  select(byId("platform"), parts.platform);
  describe();
  writeAddress();
}

function select(element, value) {
  if ([...element.options].some((entry) => entry.value === value)) element.value = value;
}

function readAddress() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const parts = {};
  for (const name of FIELDS) if (parameters.has(name)) parts[name] = parameters.get(name);
  if (Object.keys(parts).length) choose(parts);
}

function writeAddress() {
  const parameters = new URLSearchParams(chosen());
  history.replaceState(null, "", `#${parameters}`);
}

/** The link to this choice. */
export function link() {
  writeAddress();
  return location.href;
}

/** Keeps the words beside the controls true. */
function describe() {
  const now = chosen();
  const policy = lists.policies.find((entry) => entry.id === now.policy);
  if (policy) {
    const pair = [...new Set([policy.registration, policy.authentication])];
    byId("requirement").textContent = pair.map((word) => `"${word}"`).join(" / ");
    byId("policy-help").textContent = policy.help;
  }
  byId("discoverable-help").textContent = now.discoverable
    ? "Register with residentKey \u201crequired\u201d, sign in without naming the account."
    : "Register with residentKey \u201cdiscouraged\u201d, sign in by naming the account.";
  byId("key-help").textContent = lists.states.find((entry) => entry.id === now.state)?.help ?? "";
  byId("platform-help").textContent = lists.platforms.find((entry) => entry.id === now.platform)?.summary ?? "";
  const browser = now.way === "browser";
  for (const id of ["key-party", "platform-party"]) byId(id).hidden = browser;
  byId("native-party").hidden = !browser;
}

export const platformOf = (id) => lists.platforms.find((entry) => entry.id === id);
export const keyOf = (id) => lists.keys.find((entry) => entry.id === id);
export const stateOf = (id) => lists.states.find((entry) => entry.id === id);
export const policyOf = (id) => lists.policies.find((entry) => entry.id === id);
