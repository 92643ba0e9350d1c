// A bot of Microsoft's Botkit that counts. Prints its port.
import { createRequire } from "node:module";

const require = createRequire(`${process.env.SWITCHHOOK_TEST_CLIENTS}/`);
const { CardFactory, ConversationState, MemoryStorage, MessageFactory } = require("botbuilder");
const { Botkit } = require("botkit");
const express = require("express");

// Its own would listen to everybody.
const webserver = express();
webserver.use(express.json());
const controller = new Botkit({ disable_console: true, webserver });
const state = new ConversationState(new MemoryStorage());
const counter = state.createProperty("count");

controller.on("message", async (bot, message) => {
  const context = bot.getConfig("context");
  const count = (await counter.get(context, 0)) + 1;
  // Two messages of one conversation at once would read the same count.
  await new Promise((resolve) => setTimeout(resolve, 5));
  await counter.set(context, count);
  await state.saveChanges(context);
  if (message.text === "menu") {
    const button = (title, value) => ({ type: "imBack", title, value });
    const card = CardFactory.heroCard("Colour?", [], [button("Red", "red"), button("Blue", "blue")]);
    await bot.reply(message, MessageFactory.attachment(card));
  } else {
    await bot.reply(message, `${count}: ${message.text}`);
  }
});

controller.ready(() => {
  const server = webserver.listen(0, "127.0.0.1", () => console.log(server.address().port));
});
