while (Date.now() < 1e15) {}
