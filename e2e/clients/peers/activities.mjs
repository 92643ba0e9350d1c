// A bot of Microsoft's botbuilder that counts. Prints its port.
import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.SWITCHHOOK_TEST_CLIENTS}/`);
const {
  ActivityHandler, CardFactory, CloudAdapter, ConfigurationBotFrameworkAuthentication, ConversationState,
  MemoryStorage, MessageFactory,
} = require("botbuilder");

const state = new ConversationState(new MemoryStorage());
const counter = state.createProperty("count");

class Bot extends ActivityHandler {
  constructor() {
    super();
    this.onMessage(async (context, next) => {
      const count = (await counter.get(context, 0)) + 1;
      // Two messages of one conversation at once would read the same count.
      await new Promise((resolve) => setTimeout(resolve, 5));
      await counter.set(context, count);
      if (context.activity.text === "menu") {
        const button = (title, value) => ({ type: "imBack", title, value });
        const card = CardFactory.heroCard("Colour?", [], [button("Red", "red"), button("Blue", "blue")]);
        await context.sendActivity(MessageFactory.attachment(card));
      } else {
        await context.sendActivity(`${count}: ${context.activity.text}`);
      }
      await next();
    });
    this.onMembersAdded((_context, next) => next());
  }

  async run(context) {
    await super.run(context);
    await state.saveChanges(context, false);
  }
}

const bot = new Bot();
const adapter = new CloudAdapter(new ConfigurationBotFrameworkAuthentication({}));
adapter.onTurnError = async (_context, error) => { throw error; };

// What the adapter wants of restify or express.
const dress = (request, response) => {
  response.status = (code) => Object.assign(response, { statusCode: code });
  response.header = (name, value) => response.setHeader(name, value);
  response.send = (body) => {
    response.setHeader("content-type", "application/json");
    response.end(body === undefined ? "" : JSON.stringify(body));
  };
  return adapter.process(request, response, (context) => bot.run(context));
};

const server = createServer(async (request, response) => {
  let text = "";
  for await (const piece of request) text += piece;
  request.body = JSON.parse(text);
  try {
    await dress(request, response);
  } catch (error) {
    console.error(error);
    response.statusCode = 500;
    response.end();
  }
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
