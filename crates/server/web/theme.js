// Light or dark: as the system says, until the visitor says otherwise.

import { byId } from "./dom.js";

const KEY = "pinward-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // storage is switched off: the choice lasts until the page is left
  }
}

let choice = stored();

function isDark() {
  return choice ? choice === "dark" : system.matches;
}

function apply() {
  const root = document.documentElement;
  if (choice) root.dataset.theme = choice;
  else delete root.dataset.theme;
  const button = byId("theme");
  button.setAttribute("aria-pressed", String(isDark()));
  button.querySelector("use").setAttribute("href", isDark() ? "#i-sun" : "#i-moon");
  button.querySelector("span").textContent = isDark() ? "Light" : "Dark";
}

export function startTheme() {
  byId("theme").addEventListener("click", () => {
    choice = isDark() ? "light" : "dark";
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      // as above
    }
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}
