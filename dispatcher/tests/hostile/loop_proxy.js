const p = new Proxy({}, { get: (t, k, r) => { for (;;) {} } }); p.x
