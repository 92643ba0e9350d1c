Object.setPrototypeOf(context.session.BotUserSession, new Proxy({}, { get() { throw 1 } })); say("x")
