say({ toJSON() { for (;;) {} } })
