// Light or dark: as the system says, unless the reader chose.

const darkSystem = matchMedia("(prefers-color-scheme: dark)");
const themeListeners = [];

function stored(key, value) {
  try { // a browser may forbid it
    if (value === undefined) return localStorage.getItem(key);
    localStorage.setItem(key, value);
  } catch { /* then the choice is not kept */ }
  return null;
}

function applyTheme() {
  const choice = byId("theme").value;
  const dark = choice === "dark" || (choice === "auto" && darkSystem.matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  for (const listener of themeListeners) listener();
}

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function startTheme() {
  const choice = stored("vlclust-theme");
  if (["light", "dark"].includes(choice)) byId("theme").value = choice;
  byId("theme").addEventListener("change", () => {
    stored("vlclust-theme", byId("theme").value);
    applyTheme();
  });
  darkSystem.addEventListener("change", applyTheme);
  applyTheme();
}
