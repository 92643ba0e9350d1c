const a = []; while (true) a.push(new Float64Array(1e6).fill(1))
