// The demo page: one relying party, two ways to answer it.

import { get, post } from "./api.js";
import { showAccounts, showLog } from "./books.js";
import { choose, chosen, link, offer, stateOf } from "./choices.js";
import { compare } from "./compare.js";
import { showDialog } from "./dialog.js";
import { announce, byId, el, fill } from "./dom.js";
import { ask, describeSupport, missing } from "./native.js";
import { headline, showAnswer, showPrediction, showResult, showRunning } from "./result.js";
import { showKey } from "./simulation.js";
import { startTheme } from "./theme.js";

/** What the service said last about the simulated key and dialog. */
let simulation = null;
/** Whether the panel on the right shows a result that a change of the choice should not replace. */
let hasResult = false;
let busy = false;
/** What the comparison says about the chosen platform. */
let expected;

function notice(text, kind = "info") {
  const place = byId("notice");
  place.textContent = text;
  place.dataset.kind = kind;
}

/** Runs something that talks to the service; one at a time, with errors shown. */
async function run(action) {
  if (busy) return;
  busy = true;
  document.body.dataset.busy = "true";
  try {
    await action();
  } catch (error) {
    notice(error.message, "problem");
    announce(error.message);
  } finally {
    busy = false;
    delete document.body.dataset.busy;
  }
}

/**
 * The choice with the condition that the key is in by now: what others are compared with has a PIN if
 * the key on the desk has been given one.
 */
function asItIs(choice) {
  const key = simulation?.keys?.find((entry) => entry.key === choice.key && entry.state === choice.state);
  const withPin = { "no-pin": "pin-set", "always-uv": "always-uv-pin-set" }[choice.state];
  return key?.pinSet && withPin ? { ...choice, state: withPin } : choice;
}

/** The choice changed, or the key did: compare anew. */
async function changed(choice) {
  const now = asItIs(choice);
  byId("key-help").textContent = now === choice
    ? stateOf(choice.state)?.help ?? ""
    : "It was chosen without a PIN and has one by now. A fresh one has none.";
  try {
    const row = await compare(now, pickPlatform);
    if (!row) return;
    expected = row;
    showAnswer(row, choice);
    if (simulation?.prompt) showRunning(simulation, row);
    else if (!hasResult) showPrediction(choice.way === "browser" ? null : row, choice);
  } catch (error) {
    notice(error.message, "problem");
  }
  showPlace();
}

function pickPlatform(platform) {
  choose({ platform, way: "simulation" });
  hasResult = false;
  changed(chosen());
  byId("register").scrollIntoView({ block: "center" });
  byId(chosen().compare === "registration" ? "register" : "sign-in").focus({ preventScroll: true });
}

/** Left half of the stage: the dialog, or the key as it lies there. */
function showPlace() {
  if (simulation?.prompt) showDialog(simulation, answer);
  else showKey(simulation, chosen(), { powerCycle, replace });
}

async function refresh() {
  const session = await get("/api/session");
  simulation = session.simulation;
  showAccounts(session.accounts, refresh);
  showLog(session.ceremonies, (id) => run(() => openCeremony(id)));
  return session;
}

async function openCeremony(id, { focus = true } = {}) {
  const ceremony = await get(`/api/ceremonies/${id}`);
  hasResult = true;
  showResult(ceremony);
  if (focus) byId("result").focus({ preventScroll: false });
  return ceremony;
}

/** Register or sign in: the relying party's options first, whoever answers them. */
async function start(ceremony) {
  const choice = chosen();
  notice("");
  if (choice.way === "browser" && missing()) {
    notice(missing(), "problem");
    return;
  }
  const begun = await post(`/api/${ceremony}/options`, {
    userName: choice.name, policy: choice.policy, discoverable: choice.discoverable, way: choice.way,
  });
  hasResult = false;
  if (choice.way === "browser") await native(ceremony, begun);
  else await step(await post("/api/simulation/start", { ceremony: begun.ceremony, platform: choice.platform, key: choice.key, state: choice.state }));
}

async function native(ceremony, begun) {
  fill(byId("dialog-place"), el("p", { class: "waiting", text: "Your browser and system are asking you now." }));
  announce("Your browser and system are asking you now.");
  let credential;
  try {
    credential = await ask(ceremony, begun.publicKey);
  } catch (error) {
    await post(`/api/ceremonies/${begun.ceremony}/failure`, { name: String(error.name), message: String(error.message) });
    await conclude(begun.ceremony);
    return;
  }
  await verify(ceremony, begun.ceremony, credential);
}

/** Hands the credential to the relying party and shows what it makes of it. */
async function verify(ceremony, id, credential) {
  try {
    await post(`/api/${ceremony}/verification`, { ceremony: id, credential });
  } catch (error) {
    // A refusal is a result: the log has it with its reasons. Anything else is a fault.
    if (error.status !== 422) throw error;
  }
  await conclude(id);
}

async function conclude(id) {
  await refresh();
  const ceremony = await openCeremony(id);
  await changed(chosen());
  const words = ceremony.client?.report ? headline(ceremony.client.report) : "";
  announce(`${ceremony.outcome}. ${words}`);
}

/** The simulation moved on: next dialog, or the end. */
async function step(view) {
  simulation = view;
  if (view.prompt) {
    showRunning(view, expected);
    showPlace();
    return;
  }
  if (view.credential) await verify(view.kind, view.ceremony, view.credential);
  else await conclude(view.ceremony);
}

function answer(input) {
  return run(async () => step(await post("/api/simulation/answer", { number: simulation.number, ...input })));
}

function powerCycle() {
  return run(async () => {
    const choice = chosen();
    simulation = await post("/api/simulation/power-cycle", { key: choice.key, state: choice.state });
    showPlace();
    announce("The key was taken out and plugged in again.");
  });
}

function replace() {
  return run(async () => {
    const choice = chosen();
    simulation = await post("/api/simulation/replace", { key: choice.key, state: choice.state });
    await changed(choice);
    announce("A fresh key of this model lies there now.");
  });
}

/** Picks up where the page was left: an open dialog, an answer not yet verified, the last result. */
async function resume(session) {
  if (simulation?.prompt) {
    choose({ way: "simulation", platform: simulation.platform, key: simulation.key, state: simulation.state });
    return;
  }
  if (simulation?.credential && simulation.open) {
    await verify(simulation.kind, simulation.ceremony, simulation.credential);
    return;
  }
  const last = session.ceremonies.find((entry) => ["accepted", "refused", "failed"].includes(entry.outcome));
  if (last) await openCeremony(last.id, { focus: false });
}

async function begin() {
  startTheme();
  describeSupport();
  const choices = await get("/api/choices");
  offer(choices, changed);
  byId("request").addEventListener("submit", (event) => {
    event.preventDefault();
    const ceremony = event.submitter?.value ?? "authentication";
    run(() => start(ceremony));
  });
  byId("share").addEventListener("click", share);
  await resume(await refresh());
  await changed(chosen());
  document.body.dataset.ready = "true";
}

async function share() {
  try {
    await navigator.clipboard.writeText(link());
    notice("The link to this choice is copied.");
  } catch {
    notice("The address of this page is the link to this choice.");
  }
}

run(begin);
