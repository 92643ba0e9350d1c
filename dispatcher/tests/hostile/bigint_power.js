(2n ** 100000000n).toString()
