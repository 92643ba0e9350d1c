context.session.BotUserSession.x = "x".repeat(2e7)
