say({ toString() { for (;;) {} } } + "")
