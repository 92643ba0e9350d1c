const f = () => { try { f() } finally { throw new Error("x".repeat(1e6)) } }; f()
