for (;;) contextTags.add("x".repeat(1000))
