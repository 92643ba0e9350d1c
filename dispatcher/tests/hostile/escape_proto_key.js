context.session.BotUserSession["__proto__"] = { put: null }; say(JSON.parse('{"__proto__":{"x":1}}'))
