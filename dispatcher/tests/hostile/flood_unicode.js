say("\ud800".repeat(1e6)); context.session.BotUserSession["\udfff"] = "\ud800\u0000"
