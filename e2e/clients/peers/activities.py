"""A bot of Microsoft's botbuilder that counts; its SDK cannot reply with its response. Prints its port."""

import asyncio
import logging

from aiohttp import web
from botbuilder.core import ActivityHandler, CardFactory, ConversationState, MemoryStorage, MessageFactory
from botbuilder.integration.aiohttp import CloudAdapter, ConfigurationBotFrameworkAuthentication
from botbuilder.schema import ActionTypes, CardAction, HeroCard


class Anonymous:
    APP_ID = APP_PASSWORD = APP_TENANTID = ""
    APP_TYPE = "MultiTenant"


state = ConversationState(MemoryStorage())
counter = state.create_property("count")


class Bot(ActivityHandler):
    async def on_turn(self, context):
        await super().on_turn(context)
        await state.save_changes(context)

    async def on_message_activity(self, context):
        count = await counter.get(context, lambda: 0) + 1
        # Two messages of one conversation at once would read the same count.
        await asyncio.sleep(0.005)
        await counter.set(context, count)
        text = context.activity.text
        if text == "menu":
            buttons = [
                CardAction(type=ActionTypes.im_back, title=title, value=title.lower()) for title in ("Red", "Blue")
            ]
            card = CardFactory.hero_card(HeroCard(title="Colour?", buttons=buttons))
            await context.send_activity(MessageFactory.attachment(card))
        else:
            await context.send_activity(f"{count}: {text}")


async def main():
    # Each 500 of the SDK is expected, and forty lines long.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    bot, adapter = Bot(), CloudAdapter(ConfigurationBotFrameworkAuthentication(Anonymous()))

    async def messages(request):
        return await adapter.process(request, bot)

    app = web.Application()
    app.router.add_post("/api/messages", messages)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
