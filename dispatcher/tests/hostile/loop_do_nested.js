do { for (let i = 0; i < 1e9; i++) {} } while (true)
