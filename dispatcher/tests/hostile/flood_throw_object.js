throw { toString() { return "x".repeat(1e7) }, stack: "y".repeat(1e7) }
