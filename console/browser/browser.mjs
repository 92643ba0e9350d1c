// A Chromium that counts what must not happen: page errors, violations of the policy, requests to elsewhere.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import path from "node:path";

const modules = path.join(process.env.SWITCHHOOK_TEST_BROWSER, "package.json");
const require = createRequire(modules);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const wrongs = [];

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
}

// Somebody with a browser of their own.
export async function person(browser, base, options = {}) {
  const context = await browser.newContext({ baseURL: base, ...options });
  context.setDefaultTimeout(20_000);
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      console.error(`VIOLATION ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
    });
  });
  const page = await context.newPage();
  watch(page, base);
  return page;
}

function watch(page, base) {
  const note = (what) => wrongs.push(`${page.url()}: ${what}`);
  page.on("pageerror", (error) => note(`page error: ${error.message}`));
  page.on("dialog", async (dialog) => { note(`dialog: ${dialog.message()}`); await dialog.dismiss(); });
  page.on("console", (message) => {
    const text = message.text();
    // A form that is not taken, and a page that is not for everybody, are answers that a test asks for.
    if (message.type() === "error" && !/status of (4\d\d)/.test(text)) note(`console: ${text}`);
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(base) && !url.startsWith("data:")) note(`request to elsewhere: ${url}`);
  });
}

// Nothing serious or critical, by axe-core.
export async function accessible(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  for (const one of found.violations.filter(({ impact }) => ["serious", "critical"].includes(impact))) {
    const where = one.nodes.slice(0, 3).map((node) => `${node.target} (${node.failureSummary})`);
    wrongs.push(`${page.url()}: axe ${one.impact} ${one.id}: ${where.join("; ")}`);
  }
}

// Nothing is wider than the page, and no text is cut.
export async function fits(page, what) {
  const found = await page.evaluate(() => {
    const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    const cut = [...document.querySelectorAll("h1, h2, p, dt, dd, td, th, label, button, a.button, .badge, li")]
      .filter((one) => one.checkVisibility() && !one.closest(".hide, .messages"))
      .filter((one) => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX === "hidden")
      .map((one) => one.textContent.trim().slice(0, 40));
    const buttons = [...document.querySelectorAll("button, a.button")].filter((one) => one.checkVisibility())
      .map((one) => one.getBoundingClientRect());
    let overlaps = 0;
    for (let a = 0; a < buttons.length; a += 1) {
      for (let b = a + 1; b < buttons.length; b += 1) {
        const [x, y] = [buttons[a], buttons[b]];
        if (x.left < y.right - 1 && y.left < x.right - 1 && x.top < y.bottom - 1 && y.top < x.bottom - 1) overlaps += 1;
      }
    }
    const beyond = [...document.querySelectorAll(".card time, .card td, .card dd, .card .badge, .card button")]
      .filter((one) => one.checkVisibility() && !one.closest(".hide, .messages, .scroll > table thead"))
      .filter((one) => one.getBoundingClientRect().right > one.closest(".card").getBoundingClientRect().right + 1)
      .filter((one) => { const box = one.closest(".scroll"); return !box || getComputedStyle(box).overflowX === "visible"; })
      .map((one) => one.textContent.trim().slice(0, 40));
    return { wide, cut, overlaps, beyond };
  });
  if (found.wide > 0) wrongs.push(`${what}: ${found.wide} px wider than the page`);
  if (found.cut.length) wrongs.push(`${what}: cut: ${found.cut.join(" | ")}`);
  if (found.beyond.length) wrongs.push(`${what}: beyond its card: ${found.beyond.join(" | ")}`);
  if (found.overlaps) wrongs.push(`${what}: ${found.overlaps} buttons overlap`);
}

export function check(truth, words) {
  if (!truth) throw new Error(words);
}
