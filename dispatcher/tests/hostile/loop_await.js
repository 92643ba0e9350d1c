while (true) await null
