})(); globalThis.x = 1; for (;;) {} (async () => {
