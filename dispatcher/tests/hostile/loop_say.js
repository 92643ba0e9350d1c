for (;;) say("x")
