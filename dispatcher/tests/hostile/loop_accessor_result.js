Object.defineProperty(context.session.BotUserSession, "x", { enumerable: true, get() { for (;;) {} } })
