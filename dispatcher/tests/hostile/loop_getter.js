const o = { get a() { return this.b }, get b() { for (;;) {} } }; o.a
