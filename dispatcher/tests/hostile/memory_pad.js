"x".padEnd(2 ** 30 - 2)
