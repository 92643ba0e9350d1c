// The life of channels in a real browser. Arguments: the console's address, ingress's, the first admin's
// link, and a folder for pictures.
import { mkdirSync } from "node:fs";
import path from "node:path";
import { more } from "./more.mjs";
import { accessible, check, fits, launch, person, wrongs } from "./browser.mjs";

const [base, ingress, link, screens] = process.argv.slice(2);
const PASSWORD = "a password of many bytes";
mkdirSync(screens, { recursive: true });
const browser = await launch();
const began = Date.now();
const say = (words) => console.log(`${((Date.now() - began) / 1000).toFixed(1)} s ${words}`);

const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
const follow = (page, name) => page.getByRole("main").getByRole("link", { name, exact: true }).first().click();
const fill = (page, label, text) => page.getByLabel(label).fill(text);
const sees = (page, text) => page.getByText(text).first().waitFor();

async function send(url, token, text = "hello", user = "user-1") {
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ session: { new: false }, message: { text }, from: { id: user } }),
  });
  return { status: response.status, text: await response.text() };
}

// A registry change reaches ingress in a second; until then the old answer is the right one.
async function until(ask, good, words) {
  let answer;
  for (const end = Date.now() + 20_000; Date.now() < end;) {
    answer = await ask();
    if (good(answer)) return answer;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`never: ${words}; at last: ${JSON.stringify(answer)}`);
}

async function mint(page, channel) {
  await page.goto(channel);
  await press(page, "Mint a test token");
  return page.locator("figure.secret code").first().innerText();
}

// 1. The first admin, once.
const ann = await person(browser, base);
await ann.goto(link);
await accessible(ann);
await fill(ann, "Your name", "ann");
await fill(ann, "Password", PASSWORD);
await press(ann, "Become the first admin");
await sees(ann, "What is set up here");
const late = await person(browser, base);
await late.goto(link);
await sees(late, "The link is not good any more");
say("the first admin is there, and the link is used up");

// 2. A developer, added by the admin, who signs in.
await ann.goto("/operators/new");
await fill(ann, "Name", "dev");
await fill(ann, "Password", PASSWORD);
await press(ann, "Add the operator");
await ann.getByRole("link", { name: "dev", exact: true }).waitFor();
const dev = await person(browser, base);
await dev.goto("/bots");
await fill(dev, "Name", "dev");
await fill(dev, "Password", "not the password");
await press(dev, "Sign in");
await sees(dev, "The name or the password is wrong.");
await fill(dev, "Password", PASSWORD);
await press(dev, "Sign in");
await dev.getByRole("heading", { name: "Bots", level: 1 }).waitFor();
say("a developer has signed in");

// 3. From nothing to a channel that waits.
await follow(dev, "Add a bot");
await fill(dev, "Name", "clerk");
await press(dev, "Add the bot");
await follow(dev, "Add a webhook channel");
await fill(dev, "Name", "shop");
await press(dev, "Make this app");
const secret = await dev.locator("figure.secret code").innerText();
check(secret.length > 30, "a client secret");
await follow(dev, "Continue");
await fill(dev, "Display name", "web");
await press(dev, "Continue");
await press(dev, "Save");
await sees(dev, "It waits for approval");
const url = await dev.locator("figure.code code").first().innerText();
check(url.startsWith(`${ingress}/chatbot/hooks/st-`), `the short URL of the first channel: ${url}`);
await accessible(dev);
await follow(dev, "To the channel");
const web = new URL(dev.url()).pathname;
let token = await mint(dev, web);
const before = await until(() => send(url, token), ({ status }) => status === 403, "refused before");
check(before.text.includes("awaiting approval"), before.text);
say("a channel was added in four steps; it refuses messages");

// 4. Approved by the admin, and then it answers.
await ann.goto("/");
await ann.getByRole("link", { name: /^Approvals/ }).first().click();
await ann.getByRole("main").getByRole("link", { name: "clerk" }).first().click();
await sees(ann, "Would run");
await accessible(ann);
await press(ann, "Approve");
await sees(ann, "Approved. It runs now.");
const after = await until(() => send(url, token), ({ status }) => status === 200, "answered after");
check(after.text.includes("hello"), after.text);
say("approved, it answers");

// 5. Rotation: both keys during the overlap, the old one refused after it.
await dev.goto("/apps");
await follow(dev, "shop");
await follow(dev, "Rotate the key");
await fill(dev, "The present key stays good for", "4s");
await press(dev, "Give it a new key");
await sees(dev, "The key is new");
const fresh = await mint(dev, web);
check((await until(() => send(url, fresh), ({ status }) => status === 200, "the new key")).status === 200, "new");
check((await send(url, token)).status === 200, "the old key during the overlap");
await until(() => send(url, token), ({ status }) => status === 401, "the old key ends");
token = fresh;
check((await send(url, token)).status === 200, "the new key after the overlap");
say("a key was rotated with an overlap");

// 6. Export, import, placeholder, app, approval, and it works.
await dev.goto("/bots");
await follow(dev, "clerk");
const clerk = new URL(dev.url()).pathname;
const document = await (await dev.request.get(`${clerk}/export`)).text();
check(!document.includes(secret), "no secret is exported");
await dev.goto("/bots/import");
await fill(dev, /^Another name/, "copy");
await fill(dev, /^The exported bot/, document);
await press(dev, "Import the bot");
await sees(dev, "Placeholders");
const copy = new URL(dev.url()).pathname;
await follow(dev, "Give it an app");
await press(dev, "Give it this app");
await sees(dev, "The channel has its app now");
const imported = await dev.locator(".copyable code").first().innerText();
const importedAt = new URL(dev.url()).pathname;
await dev.goto(`${copy}/publish`);
await press(dev, "Ask for approval");
await sees(dev, "The request is with the admins");
await ann.goto(new URL(dev.url()).pathname);
await press(ann, "Approve");
await sees(ann, "Approved. It runs now.");
const other = await mint(dev, importedAt);
await until(() => send(imported, other), ({ status }) => status === 200, "the imported channel answers");
say("an imported channel was given an app and works");

// 7. Inheritance: what the parent publishes comes along, now and later.
await dev.goto("/bots/new");
await fill(dev, "Name", "child");
await press(dev, "Add the bot");
const child = new URL(dev.url()).pathname;
await dev.goto(`${child}/parent`);
await fill(dev, /^Parent/, "clerk");
await press(dev, "Save");
await sees(dev, "as drafts");
check(await dev.getByRole("main").getByRole("link", { name: "web (webhook)" }).count() === 1, "it is inherited");
await dev.goto(`${clerk}/add-channel`);
await press(dev, "Use this app");
await fill(dev, "Display name", "second");
await press(dev, "Continue");
await press(dev, "Save");
await sees(dev, "It waits for approval");
await ann.goto("/approvals");
await ann.getByRole("main").getByRole("link", { name: "clerk" }).first().click();
await press(ann, "Approve");
await sees(ann, "Approved. It runs now.");
await dev.goto(child);
check(await dev.getByRole("main").getByRole("link", { name: "second (webhook)" }).count() === 1, "so is a later one");
say("channels were inherited");

// 8. A rejection says why; a suspended channel refuses.
await dev.goto(`${clerk}/edit`);
await fill(dev, /^When it fails/, "Sorry. Try again.");
await press(dev, "Save");
await sees(dev, "There is an unpublished edit");
await dev.goto(`${clerk}/publish`);
await press(dev, "Ask for approval");
await sees(dev, "The request is with the admins");
const request = new URL(dev.url()).pathname;
await ann.goto(request);
await ann.getByLabel("Reason").fill("Say it more kindly.");
await press(ann, "Reject");
await dev.goto(request);
await sees(dev, "Say it more kindly.");
await ann.goto(`${web}/suspend`);
await press(ann, "Suspend it");
await until(() => send(url, token), ({ status }) => status === 403, "suspended");
await ann.goto(`${web}/approve`);
await press(ann, "Let it live");
await sees(ann, "Approved. It runs now.");
await until(() => send(url, token), ({ status }) => status === 200, "live again");
say("rejected with a reason, suspended, and live again");

const tools = { press, follow, fill, sees, until, say, check };
const extra = await more({ ann, dev, screens, clerk, web, ...tools });

// 9. Every page: accessible, fitting, and pictured at three widths, light and dark.
const pages = [
  ["overview", "/"], ["bots", "/bots"], ["bot", clerk], ["bot-new", "/bots/new"], ["bot-edit", `${clerk}/edit`],
  ["bot-parent", `${clerk}/parent`], ["bot-publish", `${clerk}/publish`], ["bot-delete", `${clerk}/delete`],
  ["import", "/bots/import"], ["wizard-app", `${clerk}/add-channel`], ["apps", "/apps"], ["app-new", "/apps/new"],
  ["channels", "/channels"], ["channel", web], ["channel-edit", `${web}/edit`], ["channel-delete", `${web}/delete`],
  ["approvals", "/approvals"], ["approvals-decided", "/approvals?state=decided"], ["approval", request],
  ["operators", "/operators"], ["operator-new", "/operators/new"], ["operator", "/operators/dev"],
  ["tokens", "/tokens"], ["token-new", "/tokens/new"], ["audit", "/audit"], ["not-found", "/bots/none"], ...extra,
];
await ann.goto("/apps");
pages.push(["app", await ann.getByRole("main").getByRole("link", { name: "shop" }).first().getAttribute("href")]);
pages.push(["app-rotate", `${pages.at(-1)[1]}/rotate`]);
pages.push(["wizard-name", `${clerk}/add-channel/name?app=shop`]);
pages.push(["wizard-enable", `${clerk}/add-channel/enable?app=shop&name=hook&mode=async`]);
const state = await ann.context().storageState();
async function look(places, options) {
  // Colours are judged when they have arrived, not on their way.
  const page = await person(browser, base, { ...options, reducedMotion: "reduce" });
  for (const [name, place] of places) {
    await page.goto(place);
    for (const width of [360, 768, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        if (colorScheme === "light") await fits(page, `${name} at ${width}`);
        // Colours at one width, layout at both ends: a third look would find nothing else.
        if (width === 1440 || (width === 360 && colorScheme === "light")) await accessible(page);
        await page.screenshot({ path: path.join(screens, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      }
    }
  }
  await page.context().close();
}
const half = Math.ceil(pages.length / 2);
await Promise.all([
  look(pages.slice(0, half), { storageState: state }),
  look(pages.slice(half), { storageState: state }).then(() => look([["sign-in", "/sign-in"]], {})),
]);
say(`${pages.length + 1} pages were looked at`);

// 10. Without scripts, the same forms work.
const plain = await person(browser, base, { javaScriptEnabled: false, storageState: state });
await plain.goto("/bots/new");
await fill(plain, "Name", "plain");
await press(plain, "Add the bot");
await sees(plain, "It has no channel yet.");
say("pages work without scripts");

await browser.close();
for (const wrong of wrongs) console.log(`WRONG ${wrong}`);
console.log(JSON.stringify({ wrongs: wrongs.length, pages: pages.length + 1 }));
process.exit(wrongs.length ? 1 : 0);
