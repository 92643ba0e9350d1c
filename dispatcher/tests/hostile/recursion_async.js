const f = async () => { await f() }; await f()
