let f = () => 0; while (true) { const g = f; const big = new Array(100).fill(f); f = () => g(big) }
