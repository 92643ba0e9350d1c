endOfTask("x".repeat(1e6))
