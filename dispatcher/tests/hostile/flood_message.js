say("x".repeat(2e7))
