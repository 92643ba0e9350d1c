Error.prepareStackTrace = (e, s) => { throw s }; Object.defineProperty(Error.prototype, "message", { get() { for (;;) {} } }); null.x
