/(?=(a+))*b/.test("a".repeat(100000)); for (;;) /(x+x+)+y/.test("x".repeat(30))
