for (;;) { try { await ask("?", { validate: () => { throw 1 } }); } catch {} say("x") }
