for (let i = 0; i < 1e7; i++) koreDebugger.log("x".repeat(1000))
