const it = { [Symbol.iterator]: () => ({ next: () => ({ done: false }) }) }; [...it]
