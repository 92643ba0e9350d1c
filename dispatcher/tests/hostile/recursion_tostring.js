const a = []; a[0] = { toString: () => String(a) }; String(a)
