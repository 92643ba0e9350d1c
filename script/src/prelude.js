// The world of a script. Evaluated anew for every run; gives a function of the input.
// Whatever a script does to this world it does to itself: its parent checks everything that comes out.
export default (text, limits, load) => {
  const { parse, stringify } = JSON;
  const input = parse(text);
  const { env } = input;
  const steps = input.journal;
  const replayed = steps.length;
  const says = [], logs = [], tags = [];
  let open = [], round = 0, next = 0, task = null, done = false, closed = false, fault = null;
  let clock = 0, seed = 0;

  // ── time and chance stand still between two messages of the user, so that a replay finds the same ──
  const RealDate = Date;
  const now = () => clock;
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, as) =>
      Reflect.construct(target, args.length ? args : [clock], as === globalThis.Date ? target : as),
    apply: () => new RealDate(clock).toString(),
    get: (target, key) => (key === "now" ? now : target[key]),
  });
  RealDate.prototype.constructor = globalThis.Date;
  Math.random = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  for (const name of ["performance", "navigator", "WeakRef", "FinalizationRegistry"]) delete globalThis[name];

  // ── context ──
  const expires = { ...input.botUserSession._expires };
  delete input.botUserSession._expires;
  for (const [key, when] of Object.entries(expires)) {
    if (when > input.message.now) continue;
    delete expires[key];
    delete input.botUserSession[key];
  }
  const { entities = {}, tags: tagged = [] } = input.botUserSession._context ?? {};
  delete input.botUserSession._context;
  tags.push(...tagged);
  const bus = Object.setPrototypeOf(input.botUserSession, {
    put(key, value, minutes) {
      this[key] = value;
      delete expires[key];
      if (minutes > 0) expires[key] = clock + minutes * 60000;
    },
    get(key) { return this[key]; },
    delete(key) { delete expires[key]; return delete this[key]; },
  });
  const user = Object.setPrototypeOf(input.userContext, { get(key) { return this[key]; } });
  const context = {
    intent: "", entities, traits: [], history: [], currentLanguage: "en",
    currentTags: { tags }, session: { BotUserSession: bus, UserContext: user },
    get BotUserSession() { return bus; },
    get UserContext() { return user; },
  };
  // The wider contexts: read as of the start of the turn, what is changed is told to the parent. What was
  // read is kept with the turn's message, so that a replay reads the same.
  const own = Object.hasOwn;
  let seen = {}, handed = {}, changes = new Map();
  const change = (scope, key, effect) => changes.set(`${scope}\0${key}`, { scope, key, ...effect });
  const read = (scope, key) => {
    const known = (seen[scope] ??= {}), mine = (handed[scope] ??= {});
    if (own(mine, key)) return mine[key];
    if (!own(known, key)) known[key] = own(input.wider[scope], key) ? { v: input.wider[scope][key] } : {};
    mine[key] = own(known[key], "v") ? parse(stringify(known[key].v)) : undefined;
    return mine[key];
  };
  const keep = (scope, key, value, minutes) => {
    (handed[scope] ??= {})[key] = value;
    if (value === undefined) change(scope, key, { gone: true });
    else change(scope, key, { put: value, ms: minutes > 0 ? Math.round(minutes * 60000) : null });
  };
  const increment = (scope, key, by) => {
    if (!Number.isSafeInteger(by)) throw new TypeError("increment adds a whole number");
    const at = read(scope, key), before = changes.get(`${scope}\0${key}`);
    const value = (typeof at === "number" ? at : 0) + by;
    handed[scope][key] = value;
    if (!before || before.add !== undefined) change(scope, key, { add: (before?.add ?? 0) + by });
    else change(scope, key, { put: value, ms: before.ms ?? null });
    return value;
  };
  // An object that was read and changed inside is put as it has become.
  const settleWide = () => {
    for (const [scope, mine] of Object.entries(handed)) {
      for (const [key, value] of Object.entries(mine)) {
        const inside = typeof value === "object" && value !== null && !changes.has(`${scope}\0${key}`);
        if (inside && stringify(value) !== stringify(seen[scope]?.[key]?.v)) change(scope, key, { put: value, ms: null });
      }
    }
    return [...changes.values()];
  };
  for (const scope of ["UserSession", "BotContext", "EnterpriseContext"]) {
    const methods = {
      get: (key) => read(scope, String(key)),
      put: (key, value, minutes) => keep(scope, String(key), value, minutes),
      delete: (key) => { keep(scope, String(key), undefined); return true; },
      increment: (key, by = 1) => increment(scope, String(key), by),
    };
    const wide = new Proxy({}, {
      get: (_, key) => (typeof key === "symbol" ? undefined : own(methods, key) ? methods[key] : read(scope, key)),
      set: (_, key, value) => { keep(scope, String(key), value); return true; },
      deleteProperty: (_, key) => { keep(scope, String(key), undefined); return true; },
      has: (_, key) => typeof key !== "symbol" && read(scope, key) !== undefined,
      ownKeys: () => { throw new TypeError(`the keys of ${scope} cannot be listed: read them by name`); },
    });
    const get = () => {
      if (own(input.wider, scope)) return wide;
      throw new Error(`${scope} is only there for scripts that write its name out`);
    };
    Object.defineProperty(context.session, scope, { get });
    Object.defineProperty(context, scope, { get });
  }
  const hear = ({ text, payload, now, seed: chance, seen: before }) => {
    clock = now; seed = chance;
    // What an earlier turn changed was applied with it.
    seen = before ?? {}; handed = {}; changes = new Map();
    const language = payload && (payload.interactiveLanguage ?? payload.InteractiveLanguage);
    if (typeof language === "string" && language) context.currentLanguage = language;
    bus.lastMessage = { ...payload, messagePayload: payload, channel: input.channel };
    bus.conversationSessionId = input.sessionId;
    context.UserQuery = { originalUserQuery: text };
    globalThis.message = text;
  };

  // ── steps ──
  // Of a long text its length and both its ends.
  const hash = (whole) => {
    const text = whole.length > 4096 ? `${whole.length} ${whole.slice(0, 2048)} ${whole.slice(-2048)}` : whole;
    let h = 0x811c9dc5;
    for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
    return h >>> 0;
  };
  const blame = (kind, message) => {
    fault ??= { kind, message };
    return Object.assign(new Error(message), { name: "SwitchhookError" });
  };
  const enter = (k, detail) => {
    const index = next++;
    if (index >= limits.steps) throw blame("output", `it has more than ${limits.steps} steps`);
    const h = hash(k + detail), label = detail.slice(0, 60), known = steps[index];
    if (!known) {
      steps.push({ k, h, n: label });
    } else if (known.k !== k || known.h !== h) {
      throw blame("replay",
        `it did not do the same again: step ${index + 1} was ${known.k} ${known.n}, and is now ${k} ${label}`);
    }
    return index;
  };
  const wait = (step, call) => new Promise((resolve, reject) => open.push({ step, call, resolve, reject }));
  const utter = (message) => {
    if (message === undefined || message === null) message = "";
    if (typeof message !== "object") message = String(message);
    const index = enter("say", stringify(message));
    if (index < replayed) return;
    if (says.length >= limits.messages) throw blame("output", `it said more than ${limits.messages} messages`);
    says.push(message);
  };
  // What prompts print is text; a template is its JSON.
  const printed = (text) => {
    if (typeof text === "string" && /^\s*\{/.test(text)) {
      try { return parse(text); } catch { /* a text, then */ }
    }
    return text;
  };

  // ── talking ──
  const question = async (prompt) => {
    if (prompt !== undefined && prompt !== null) utter(prompt);
    const answer = await wait(enter("ask", stringify(prompt ?? "")));
    hear(answer);
    return answer.text;
  };
  const accept = async (validate, answer) => {
    if (validate === undefined) return { value: answer };
    if (validate instanceof RegExp) return new RegExp(validate).test(answer) ? { value: answer } : {};
    const verdict = await validate(answer);
    if (verdict === true) return { value: answer };
    if (verdict === false || verdict === undefined || verdict === null) return {};
    return { value: verdict };
  };
  const problem = (name, message) => Object.assign(new Error(message), { name });
  const ask = async (prompt, { validate, retries = 2, retry, timeout } = {}) => {
    const asked = clock;
    for (let attempt = 0; ; attempt++) {
      const answer = await question(attempt === 0 ? prompt : retry ?? prompt);
      if (timeout !== undefined && clock - asked > timeout * 1000) {
        throw problem("TimeoutError", "the answer came too late");
      }
      const accepted = await accept(validate, answer);
      if ("value" in accepted) return accepted.value;
      if (attempt >= retries) throw problem("RetriesError", "no valid answer was given");
    }
  };
  const fold = (text) => String(text).trim().toLowerCase();
  // A prompt with a key keeps it when words are added.
  const joined = (prompt, words) =>
    typeof prompt?.key === "string" && typeof prompt.message === "string"
      ? { key: prompt.key, message: prompt.message + words } : `${prompt}${words}`;
  const confirm = (prompt, { yes = "Yes", no = "No", ...more } = {}) => {
    const words = (mine, usual) => [fold(mine), ...usual];
    const [yeses, noes] = [words(yes, ["yes", "y"]), words(no, ["no", "n"])];
    const validate = (answer) =>
      yeses.includes(fold(answer)) ? { is: true } : noes.includes(fold(answer)) ? { is: false } : false;
    return ask(joined(prompt, `\n${yes}, ${no}, `), { ...more, validate }).then(({ is }) => is);
  };
  const choose = (prompt, options, more = {}) => {
    const all = options.map((o) => (typeof o === "object" ? o : { title: String(o), value: o }));
    const validate = (answer) => {
      const said = fold(answer);
      const number = /^\d+$/.test(said) ? all[Number(said) - 1] : undefined;
      const found = all.find((o) => fold(o.title) === said || fold(o.value) === said) ?? number;
      return found ? { found } : false;
    };
    const list = all.map((o, i) => `${i + 1}. ${o.title}`).join("\n");
    return ask(joined(prompt, `\n${list}`), { ...more, validate }).then(({ found }) => found.value ?? found.title);
  };

  // ── templates of the protocol, as the objects that they are; `more` holds what is written out ──
  const made = (template_type, words, more) => ({ type: "template", payload: { template_type, ...words, ...more } });
  const isText = (value) => typeof value !== "object" || value === null;
  const button = (b) => {
    if (isText(b)) return { type: "postback", title: String(b), payload: String(b) };
    return b.url === undefined ? { type: "postback", payload: b.title, ...b } : { type: "web_url", ...b };
  };
  const reply = (r) => {
    const words = isText(r) ? { title: String(r) } : r;
    return { content_type: "text", payload: words.title, ...words };
  };
  const option = (o) => (isText(o) ? { title: String(o), value: String(o) } : o);
  const card = (c) => (c.buttons ? { ...c, buttons: c.buttons.map(button) } : c);
  const row = (r) => (Array.isArray(r) ? { Values: r.map(String) } : r);
  const template = {
    button: (text, buttons, more) => made("button", { text, buttons: buttons.map(button) }, more),
    quickReplies: (text, replies, more) => made("quick_replies", { text, quick_replies: replies.map(reply) }, more),
    list: (elements, buttons = [], more) =>
      made("list", { elements: elements.map(card), ...(buttons.length ? { buttons: buttons.map(button) } : {}) }, more),
    carousel: (elements, more) => made("carousel", { elements: elements.map(card) }, more),
    table: (text, columns, rows, more) =>
      made("table", { text, columns: columns.map((c) => [c].flat()), table_design: "regular", elements: rows.map(row) }, more),
    miniTable: (text, elements, more) => made("mini_table", { text, layout: "horizontal", elements }, more),
    pieChart: (text, elements, more) => made("piechart", { pie_type: "regular", text, elements }, more),
    lineChart: (text, X_axis, elements, more) => made("linechart", { text, X_axis, elements }, more),
    barChart: (text, X_axis, elements, more) => made("barchart", { text, X_axis, direction: "vertical", elements }, more),
    feedback: (text, view, more) => made("feedbackTemplate", { text, view }, more),
    dropdown: (heading, elements, more) => made("dropdown_template", { heading, elements: elements.map(option) }, more),
    multiSelect: (elements, buttons, more) =>
      made("multi_select", { elements: elements.map(option), buttons: buttons.map(button) }, more),
    likeDislike: () => made("like_dislike"),
    date: (title, text_message, format = "MM-DD-YYYY") => made("dateTemplate", { title, text_message, format }),
    image: (url) => ({ type: "image", payload: { url } }),
    audio: (audioUrl) => ({ type: "message", payload: { text: "", audioUrl } }),
    video: (videoUrl) => ({ type: "message", payload: { text: "", videoUrl } }),
    error: (text, color = "#F35A00") => ({ type: "error", payload: { color, text } }),
  };

  // ── calling ──
  const responded = (v, url) => {
    const headers = Object.setPrototypeOf({ ...v.headers }, { get(name) { return this[fold(name)] ?? null; } });
    return {
      url, headers, status: v.status, ok: v.status >= 200 && v.status < 300, truncated: v.truncated,
      text: async () => v.body, json: async () => parse(v.body),
    };
  };
  const fetch = async (target, { method = "GET", headers = {}, body } = {}) => {
    const url = String(target);
    const call = { method: String(method).toUpperCase(), url, headers: {}, body: body === undefined ? "" : String(body) };
    for (const [name, value] of Object.entries(headers)) call.headers[fold(name)] = String(value);
    const step = enter("fetch", `${call.method} ${url} ${call.body}`);
    return responded(await wait(step, call), url);
  };

  // ── the rest of what the platform's scripts know ──
  const log = (...words) => {
    if (next < replayed || logs.length >= 200) return;
    logs.push(words.map((w) => (typeof w === "string" ? w : stringify(w) ?? String(w))).join(" ").slice(0, 2000));
  };
  const at = (path) =>
    path.trim().split(".").reduce((value, key) => value?.[key], { context, env, message: globalThis.message });
  const shown = (value) => (value === undefined || value === null ? "" : typeof value === "object" ? stringify(value) : String(value));
  const endOfTask = (reason = "Fulfilled", name, id) => {
    const word = (w) => (w === undefined || w === null ? null : String(w));
    task = { reason: word(reason), name: word(name), id: word(id) };
  };
  const absent = (name, what) => () => {
    throw new Error(`koreUtil.${name} cannot be had: Switchhook has no ${what}`);
  };
  const koreUtil = {
    getSessionId: () => input.sessionId,
    closeConversationSession: () => { closed = true; },
    // What the platform tells of its own questions and of its language model's doubts: there are none.
    getCurrentOptions: () => ({}),
    getAmbiguousIntents: () => ({ intents: [], cause: "", userInput: globalThis.message }),
    // Nothing is kept that could be cleared.
    ClearAuthProfiles: () => {},
    ClearAllAuthProfiles: () => {},
    autoTranslate: absent("autoTranslate", "translation service; call one with fetch"),
    getFormDefinition: absent("getFormDefinition", "forms"),
  };
  let libraries;
  for (const name of ["_", "hash", "intl", "moment", "momenttz", "rrule", "xml2js"]) {
    const keep = (value) => {
      Object.defineProperty(koreUtil, name, { value, writable: true, enumerable: true, configurable: true });
      return value;
    };
    const get = () => keep((libraries ??= load("koreutil")(load, koreUtil))(name));
    Object.defineProperty(koreUtil, name, { get, set: keep, enumerable: true, configurable: true });
  }
  Object.assign(globalThis, {
    context, env: Object.freeze(env), koreUtil, template, ask, confirm, choose, fetch, endOfTask,
    say: async (message) => utter(message),
    print: (text) => utter(printed(text)),
    render: (text) => String(text).replace(/\{\{([^{}]*)\}\}/g, (_, path) => shown(at(path))),
    contextTags: { add: (tag) => { tags.push(String(tag)); } },
    koreDebugger: { log }, console: { log, info: log, warn: log, error: log },
  });
  hear(input.message);

  // ── the run, as its host drives it ──
  const thrown = (error) => {
    try {
      // That is how the engine says it, when there is no memory left to say it with.
      if (error === null) return { kind: "memory", message: "out of memory (it threw null)", stack: "" };
      const message = error instanceof Error ? `${error.name}: ${error.message}` : `it threw ${shown(error)}`;
      return { kind: "thrown", message, stack: String((error && error.stack) || "") };
    } catch {
      return { kind: "thrown", message: "it threw what cannot be shown", stack: "" };
    }
  };
  const settle = ({ step, resolve, reject }) => {
    const { answer, response, failed } = steps[step].v;
    if (answer) return resolve(answer);
    clock = (response ?? failed).now;
    if (response) resolve(response);
    else reject(problem("FetchError", failed.why));
  };
  return {
    watch: (promise) => {
      promise.then(() => { done = true; }, (error) => {
        const { stack, ...what } = thrown(error);
        fault = { ...(fault ?? what), stack };
      });
    },
    // Nothing goes on by itself any more: results that were there after this pause are given.
    pump: () => {
      if (done || fault) return false;
      const ready = open.filter(({ step }) => steps[step].r === round + 1);
      if (!ready.length) return false;
      round++;
      open = open.filter((waiting) => !ready.includes(waiting));
      ready.forEach(settle);
      return true;
    },
    finish: () => {
      if (!fault && !done) {
        const questions = open.filter(({ call }) => !call).length;
        if (!open.length) fault = { kind: "thrown", message: "it waits for what never comes" };
        else if (questions > 1) fault = { kind: "thrown", message: "it asks two questions at once" };
        else if (next < replayed) fault = { kind: "replay", message: `it did not come to step ${next + 1} again: ${steps[next].k} ${steps[next].n}` };
      }
      if (fault) return "!" + stringify(fault);
      const { lastMessage, conversationSessionId, ...kept } = bus;
      if (Object.keys(expires).length) kept._expires = expires;
      const told = { entities: context.entities, tags };
      if (tags.length || Object.keys(context.entities ?? {}).length) kept._context = told;
      return stringify({
        done, closed, says, logs, round, task, journal: steps.slice(replayed), botUserSession: kept,
        changes: settleWide(), seen,
        open: open.map(({ step, call }) => ({ step, call })),
      });
    },
  };
}
