for (let i = 0; i < 1e6; i++) fetch("http://127.0.0.1/" + i); await ask("?")
