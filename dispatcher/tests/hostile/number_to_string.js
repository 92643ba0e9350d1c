for (;;) (0.1).toString(2) + (1e300).toFixed(100)
