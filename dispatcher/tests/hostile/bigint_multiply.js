let a = 3n; while (true) a *= a
