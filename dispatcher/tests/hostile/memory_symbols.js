const o = {}; for (let i = 0; ; i++) o[Symbol(i)] = i
