"""A Rasa action server with an action that counts. Prints its port."""

import asyncio
import socket

from rasa_sdk import Action
from rasa_sdk.endpoint import create_app
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import ActionExecutor


class ActionCount(Action):
    def name(self):
        return "action_count"

    async def run(self, dispatcher, tracker, domain):
        count = (tracker.get_slot("count") or 0) + 1
        await asyncio.sleep(0.005)
        text = tracker.latest_message["text"]
        if text == "menu":
            buttons = [{"title": title, "payload": title.lower()} for title in ("Red", "Blue")]
            dispatcher.utter_message(text="Colour?", buttons=buttons)
        else:
            dispatcher.utter_message(text=f"{count}: {text}")
        return [SlotSet("count", count)]


executor = ActionExecutor()
executor.register_action(ActionCount)
app = create_app(executor)
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(100)
print(listener.getsockname()[1], flush=True)
app.run(sock=listener, single_process=True, access_log=False, motd=False)
