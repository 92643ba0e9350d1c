// What pages gain where scripts run: copy buttons, a choice of theme, what is new, the chat. All else works without.
"use strict";

const reveal = () => {
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
};
reveal();
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not possible";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});

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

// A page on which things happen by themselves is fetched again while somebody looks at it, and what differs is
// written into it: what has the focus, is scrolled or is open stays so. Forms are left as they are being filled in.
const morph = (from, to) => {
  [...to.childNodes].forEach((now, n) => {
    const then = from.childNodes[n];
    if (!then) from.append(now.cloneNode(true));
    else if (then.nodeName !== now.nodeName) then.replaceWith(now.cloneNode(true));
    else if (now.nodeType !== Node.ELEMENT_NODE) { if (then.data !== now.data) then.data = now.data; }
    else if (now.nodeName !== "FORM") {
      for (const { name, value } of now.attributes) if (then.getAttribute(name) !== value) then.setAttribute(name, value);
      for (const { name } of [...then.attributes]) if (name !== "open" && !now.hasAttribute(name)) then.removeAttribute(name);
      morph(then, now);
    }
  });
  while (from.childNodes.length > to.childNodes.length) from.lastChild.remove();
};
const live = document.querySelector("[data-live]");
if (live) {
  const button = document.querySelector("[data-live-toggle]");
  const every = Number(live.dataset.live) * 1000;
  const is = () => button.getAttribute("aria-pressed") === "true";
  const set = (on, words) => { button.setAttribute("aria-pressed", String(on)); button.textContent = words; };
  button.hidden = false;
  button.addEventListener("click", () => set(!is(), is() ? "Paused" : "Live"));
  const look = async () => {
    if (!is() || document.hidden) return;
    const response = await fetch(location.href, { headers: { "x-live": "1" } });
    if (response.redirected) { set(false, "Signed out"); return; }
    if (!response.ok || !is()) return;
    const whole = new DOMParser().parseFromString(await response.text(), "text/html");
    const now = whole.querySelector("[data-live]");
    if (!now) return;
    morph(live, now);
    morph(document.querySelector("h1"), whole.querySelector("h1"));
    reveal();
  };
  // One after the other: a slow console is not asked faster than it answers. Out of reach, it is asked again.
  const on = () => setTimeout(() => look().catch(() => {}).finally(on), every);
  on();
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
