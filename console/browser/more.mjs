// Talk to bot, in both modes; a message of the channel's own; an endpoint that fails, what became of the delivery, and its redrive.
import http from "node:http";
import path from "node:path";
import { person } from "./browser.mjs";

export async function more({ ann, dev, screens, clerk, web, press, follow, fill, sees, until, say, check }) {
  // Synchronous: plain text, and a template that the echo sends back.
  await dev.goto(`${web}/talk`);
  await fill(dev, /^Message/, "good morning <b>clerk</b>");
  await press(dev, "Send");
  await dev.locator(".bubble:not(.mine)", { hasText: "good morning <b>clerk</b>" }).waitFor();
  const payload = { template_type: "button", text: "Well?", buttons: [{ type: "postback", title: "Say yes", payload: "yes indeed" }] };
  await fill(dev, /^Message/, JSON.stringify({ type: "template", payload }));
  await press(dev, "Send");
  const button = dev.getByRole("button", { name: "Say yes" });
  await button.waitFor();
  await button.click();
  await dev.locator(".bubble.mine", { hasText: "yes indeed", hasNotText: "template" }).waitFor();
  await dev.locator(".bubble:not(.mine)", { hasText: "yes indeed", hasNotText: "Well?" }).last().waitFor();
  await dev.screenshot({ path: path.join(screens, "talk-said.png") });
  say("talked to the bot");

  // A channel's own message, by its key: in the reply of this channel, and not in the other's.
  await dev.goto("/bots/new");
  await fill(dev, "Name", "greeter");
  await dev.locator("input[name=logic][value=script]").check();
  await dev.locator("textarea[name=source]").fill('say({ key: "greeting", message: "Hello" }); say("As ever.");');
  await press(dev, "Add the bot");
  const greeter = new URL(dev.url()).pathname;
  const greeters = [];
  for (const name of ["plain", "own"]) {
    await dev.goto(`${greeter}/add-channel`);
    await press(dev, "Use this app");
    await fill(dev, "Display name", name);
    await press(dev, "Continue");
    await dev.getByLabel("Enable the channel").uncheck();
    await press(dev, "Save");
    await follow(dev, "To the channel");
    greeters.push(new URL(dev.url()).pathname);
  }
  await dev.goto(`${greeters[1]}/edit`);
  await fill(dev, /^Messages of its own/, '{"greeting": 1}');
  await press(dev, "Save");
  await sees(dev, "overrides.greeting: is neither a text nor an object");
  await fill(dev, /^Messages of its own/, '{"greeting": "Ahoy & welcome!"}');
  await press(dev, "Save");
  await sees(dev, "Ahoy & welcome!");
  await dev.goto(`${greeter}/publish`);
  for (const box of await dev.getByRole("main").getByRole("checkbox").all()) await box.check();
  await press(dev, "Ask for approval");
  await sees(dev, "The request is with the admins");
  await ann.goto(new URL(dev.url()).pathname);
  await press(ann, "Approve");
  await sees(ann, "Approved. It runs now.");
  for (const [channel, there, missing] of [[greeters[0], "Hello", "Ahoy"], [greeters[1], "Ahoy & welcome!", "Hello"]]) {
    await dev.goto(`${channel}/talk`);
    await until(async () => {
      await fill(dev, /^Message/, "hi");
      await press(dev, "Send");
      await dev.locator(".exchange").last().locator(".bubble:not(.mine), .bubble.wrong").first().waitFor();
      return dev.locator(".bubble:not(.mine)", { hasText: "As ever." }).count();
    }, (found) => found > 0, "the greeter answers");
    check(await dev.locator(".bubble:not(.mine)", { hasText: there }).count() > 0, `${there} is said`);
    check(await dev.locator(".bubble:not(.mine)", { hasText: missing }).count() === 0, `${missing} is not said`);
  }
  await dev.screenshot({ path: path.join(screens, "talk-overridden.png") });
  say("a channel's own message is in its reply");

  // Asynchronous: a receiver that refuses at first.
  let works = false;
  const got = [];
  const receiver = http.createServer((request, response) => {
    let body = "";
    request.on("data", (part) => { body += part; });
    request.on("end", () => {
      const ping = request.headers["switchhook-ping"] === "1";
      if (works && !ping) got.push(body);
      response.writeHead(works || ping ? 200 : 500).end(works ? "" : "not today");
    });
  });
  await new Promise((done) => receiver.listen(0, "127.0.0.1", done));
  const address = `http://127.0.0.1:${receiver.address().port}/in`;
  await dev.goto(`${clerk}/add-channel`);
  await press(dev, "Use this app");
  await fill(dev, "Display name", "hook");
  await dev.getByLabel("Asynchronous").check();
  await press(dev, "Continue");
  await fill(dev, /^POST_URL/, address);
  await press(dev, "Send a verification ping");
  await sees(dev, "The endpoint answered 200");
  await dev.getByLabel("Enable the channel").uncheck();
  await press(dev, "Save");
  await sees(dev, "Publish its bot to ask for approval.");
  check((await dev.locator("figure.secret code").innerText()).startsWith("whsec_"), "the signing secret, once");
  await follow(dev, "To the channel");
  const hook = new URL(dev.url()).pathname;
  await dev.goto(`${hook}/edit`);
  await fill(dev, /^Waits between attempts/, "100ms");
  await press(dev, "Save");
  await sees(dev, "Saved.");
  await dev.goto(`${clerk}/publish`);
  await press(dev, "Ask for approval");
  await sees(dev, "The request is with the admins");
  await ann.goto(new URL(dev.url()).pathname);
  await press(ann, "Approve");
  await sees(ann, "Approved. It runs now.");
  await ann.goto(`${hook}/talk`);
  // Ingress learns of the approval in a moment; until then the chat shows its refusal.
  await until(async () => {
    await fill(ann, /^Message/, "to be parked");
    await press(ann, "Send");
    await ann.locator(".exchange").last().locator(".bubble.wrong, .meta").first().waitFor();
    return ann.locator(".exchange").last().locator(".meta").count();
  }, (found) => found > 0, "the asynchronous channel accepts");
  await ann.locator(".meta", { hasText: /parked/ }).first().waitFor();
  await ann.goto("/deliveries?state=parked");
  await follow(ann, "Timeline");
  await sees(ann, "status 500");
  await sees(ann, "not today");
  const turn = new URL(ann.url()).pathname;
  works = true;
  await follow(ann, "Redrive");
  await press(ann, "Put them back");
  await sees(ann, "They were put back");
  await until(async () => { await ann.goto(turn); return ann.getByText("Message 1 is delivered").count(); },
    (found) => found > 0, "the redriven delivery arrives");
  check(got.length === 1 && got[0].includes("to be parked"), `received: ${got}`);
  say("a parked delivery was redriven and arrived");

  // A list shows by itself what came meanwhile, unless it is paused. Its clock is the test's.
  const base = new URL(ann.url()).origin;
  const looker = await person(ann.context().browser(), base, { storageState: await ann.context().storageState() });
  await looker.clock.install();
  await looker.goto(`/turns?channel=${web.split("/").pop()}`);
  const newest = () => looker.getByRole("main").getByRole("link", { name: "Timeline" }).first().getAttribute("href");
  let asked = 0;
  looker.on("request", (request) => { asked += Number(request.headers()["x-live"] === "1"); });
  const before = await newest();
  await looker.getByRole("link", { name: "Timeline" }).first().focus();
  await dev.goto(`${web}/talk`);
  await fill(dev, /^Message/, "while somebody looks");
  await press(dev, "Send");
  await dev.locator(".bubble:not(.mine)", { hasText: "while somebody looks" }).waitFor();
  await until(async () => { await looker.clock.runFor(5_000); return newest(); }, (found) => found !== before, "the list begins with what is new");
  check(await looker.evaluate(() => document.activeElement.textContent) === "Timeline", "the focus stays where it was");
  await press(looker, "Live");
  const then = asked;
  await looker.clock.runFor(60_000);
  check(asked === then, "a paused page asks for nothing");
  await press(looker, "Paused");
  await until(async () => { await looker.clock.runFor(5_000); return asked; }, (found) => found > then, "it goes on");
  await looker.context().close();
  say("a list shows by itself what is new");

  // A range is counted, sent again, and watched.
  await ann.goto("/deliveries?state=delivered");
  await follow(ann, "Replay a range");
  // By its id: a bot that inherits has one of this name, too.
  const id = hook.split("/").at(-1);
  await fill(ann, /^Channel/, id);
  await press(ann, "Count them");
  await sees(ann, "Send 1 delivery again?");
  await press(ann, "Send 1 again");
  await sees(ann, "Put at the end again");
  const replay = new URL(ann.url()).pathname;
  await until(async () => got.length, (count) => count === 2, "what was sent again arrives");
  check(got[1] === got[0], `received again: ${got}`);
  receiver.close();
  say("a range was sent again and arrived");

  // What a user said is erased.
  await ann.goto("/deliveries?state=delivered");
  check(await ann.getByRole("main").getByRole("link", { name: "Timeline" }).count() > 0, "it is listed");
  await ann.goto(`${hook}/erase`);
  await fill(ann, /^User/, "console-ann");
  await press(ann, "Erase it for good");
  await sees(ann, "What was known of this user is gone.");
  await ann.goto(turn);
  await sees(ann, "Nothing is kept of what was said");
  say("a user's data was erased");
  await ann.goto("/turns");
  const one = await ann.getByRole("main").getByRole("link", { name: "Timeline" }).nth(2).getAttribute("href");
  return [
    ["talk", `${web}/talk`], ["turns", "/turns"], ["turn", one], ["turn-erased", turn], ["deliveries", "/deliveries"],
    ["deliveries-parked", "/deliveries?state=parked"], ["erase", `${hook}/erase`], ["redrive", `${hook}/redrive`],
    ["channel-async", hook], ["analytics", `/analytics?channel=${id}`],
    ["analytics-days", `/analytics?channel=${web.split("/").pop()}&range=8d`],
    ["replays", "/replays"], ["replay", replay], ["replay-new", "/replays/new"],
    ["replay-count", `/replays/new?channel=${id}&from=2020-01-01T00:00&to=2099-12-31T23:59`],
    ["channel-own", greeters[1]], ["channel-own-edit", `${greeters[1]}/edit`],
  ];
}
