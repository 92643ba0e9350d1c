new Array(1e7).join("abcdefghij")
