const a = []; a.length = 1e8; JSON.stringify(a)
