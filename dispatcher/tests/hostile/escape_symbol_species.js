class A extends Promise { static get [Symbol.species]() { for (;;) {} } } await new A((r) => r()).then(() => 1)
