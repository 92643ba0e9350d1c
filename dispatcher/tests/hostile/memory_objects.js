const a = []; while (true) a.push({ a: 1, b: [a.length] })
