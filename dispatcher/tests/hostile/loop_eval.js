eval("while(true){}")
