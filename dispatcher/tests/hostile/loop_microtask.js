const f = () => queueMicrotask(f); f(); await new Promise(() => {})
