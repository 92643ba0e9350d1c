// What pages gain where scripts run: copy buttons, a choice of theme, the chat. All else works without.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const words = button.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not possible";
    }
    setTimeout(() => { button.textContent = words; }, 1500);
  });
}

const toggle = document.querySelector("[data-theme-toggle]");
if (toggle) {
  const root = document.documentElement;
  const name = toggle.querySelector("[data-theme-name]");
  const show = () => { name.textContent = root.dataset.theme || "system"; };
  toggle.hidden = false;
  show();
  toggle.addEventListener("click", () => {
    const next = { undefined: "light", light: "dark", dark: undefined }[root.dataset.theme];
    try {
      if (next) localStorage.setItem("theme", next); else localStorage.removeItem("theme");
    } catch { /* it holds for this page */ }
    if (next) root.dataset.theme = next; else delete root.dataset.theme;
    show();
  });
}

// On wide pages the menu is always open; a narrow one folds it.
const menu = document.querySelector(".menu");
if (menu) {
  const wide = matchMedia("(min-width: 56.01rem)");
  const fit = () => { menu.open = wide.matches; };
  fit();
  wide.addEventListener("change", fit);
}
