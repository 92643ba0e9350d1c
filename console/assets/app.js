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

// The chat: a message goes to the console, which sends it to the bot as a client would. What comes back is
// HTML that the console has made and escaped.
const chat = document.querySelector("[data-chat]");
if (chat) {
  const form = chat.querySelector("[data-say]");
  const text = chat.querySelector("[data-text]");
  const messages = chat.querySelector("[data-messages]");
  const parse = (html) => [...new DOMParser().parseFromString(html, "text/html").body.children];
  const down = () => { messages.scrollTop = messages.scrollHeight; };
  const ask = async (url, words) => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", "x-piece": "1" },
      body: new URLSearchParams(words),
    });
    if (response.redirected) { location.reload(); return { html: "", more: false }; }
    const header = (name) => response.headers.get(name);
    return { html: await response.text(), more: header("x-more") === "yes", after: header("x-after"), ok: response.ok };
  };
  const say = async (words) => {
    const exchange = document.createElement("ol");
    exchange.className = "exchange";
    const mine = document.createElement("li");
    mine.className = "bubble mine";
    mine.textContent = words.text;
    exchange.append(mine);
    messages.append(exchange);
    down();
    try {
      let answer = await ask(form.action, words);
      const { after } = answer;
      for (let n = 0; ; n += 1) {
        if (answer.ok) exchange.replaceChildren(...parse(answer.html));
        down();
        if (!answer.more || n >= 40) break;
        await new Promise((done) => setTimeout(done, 500));
        answer = await ask(chat.dataset.heard, { ...words, after });
      }
    } catch {
      mine.insertAdjacentText("beforeend", " (not sent)");
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const words = Object.fromEntries(new FormData(form));
    text.value = "";
    chat.querySelector("[data-new]").checked = false;
    say(words);
  });
  messages.addEventListener("click", (event) => {
    const button = event.target.closest("[data-payload]");
    if (!button) return;
    const words = Object.fromEntries(new FormData(form));
    say({ ...words, text: button.dataset.payload });
  });
}
