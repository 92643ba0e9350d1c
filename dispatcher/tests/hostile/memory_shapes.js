for (let i = 0; ; i++) { globalThis["k" + i] = { ["p" + i]: 1 } }
