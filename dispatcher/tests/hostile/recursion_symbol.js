const o = { [Symbol.toPrimitive]() { return o + 1 } }; o + 1
