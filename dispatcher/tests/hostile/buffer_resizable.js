const b = new ArrayBuffer(8, { maxByteLength: 2 ** 32 }); b.resize(2 ** 31)
