new Function("for(;;){}")()
