let o = {}; for (let i = 0; i < 2000; i++) o = { o }; say(o)
