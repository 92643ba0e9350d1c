// There are no timers in a script's world: what is put off is done after what is at work.
exports.setImmediate = (work) => { Promise.resolve().then(() => work()); };
